// Reads an AsyncAPI document from standard input as its tools do, Avro schemas included.
// It prints what it remarks, one line each with the severity first (0 is an error, 1 a
// warning), and the messages that it found: topic, name, format of the schema.
import { text } from "node:stream/consumers";

import { AvroSchemaParser } from "@asyncapi/avro-schema-parser";
import { Parser } from "@asyncapi/parser";

const input = await text(process.stdin);
const avro = AvroSchemaParser();
const parser = new Parser();
parser.registerSchemaParser(avro);
const { document, diagnostics } = await parser.parse(input);
for (const d of diagnostics) {
  console.log(d.severity, d.code, d.path.join("."), d.message);
}
for (const channel of document?.channels() ?? []) {
  for (const message of channel.messages()) {
    console.log("message", channel.address(), message.name(), message.schemaFormat());
  }
}
// A schema that messages refer to it converts, and does not check.
for (const [name, { schemaFormat, schema }] of Object.entries(JSON.parse(input).components.schemas)) {
  const problems = avro.getMimeTypes().includes(schemaFormat)
    ? await avro.validate({ data: schema, path: ["components", "schemas", name] })
    : [{ message: `the format ${schemaFormat} is none of Avro's` }];
  for (const p of problems) {
    console.log(0, "avro", name, p.message);
  }
}
