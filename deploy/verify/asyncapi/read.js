// Reads an AsyncAPI document from standard input as its tools do, Avro schemas included.
// It prints what it remarks, one line each with the severity first (0 is an error, 1 a
// warning), and the messages that it found: topic, name, format of the schema.
import { text } from "node:stream/consumers";

import { AvroSchemaParser } from "@asyncapi/avro-schema-parser";
import { Parser } from "@asyncapi/parser";

const parser = new Parser();
parser.registerSchemaParser(AvroSchemaParser());
const { document, diagnostics } = await parser.parse(await text(process.stdin));
for (const d of diagnostics) {
  console.log(d.severity, d.code, d.path.join("."), d.message);
}
for (const channel of document?.channels() ?? []) {
  for (const message of channel.messages()) {
    console.log("message", channel.address(), message.name(), message.schemaFormat());
  }
}
