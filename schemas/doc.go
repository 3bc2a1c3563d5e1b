// Package schemas turns the records of the output topics into Avro and JSON.
//
// The .avsc files are the contract with consumers. Each record is described
// once, in the order of its schema, by a function that names every field to a
// writer; the writers make Avro binary, JSON, and the maps that goavro encodes.
// [Verify] proves at start that the append encoder and goavro agree on the
// schemas at hand. goavro reads every record back, with the schema that it was
// written with.
package schemas
