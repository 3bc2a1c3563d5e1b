"""Loads callstitch's topics into a DuckDB database and Parquet files.

    load.py --brokers 127.0.0.1:9092 --registry http://127.0.0.1:8081/apis/ccompat/v7 calls.duckdb

It knows Kafka, Confluent's wire format and Avro, and nothing of callstitch: columns
and types are those of the newest schema in the registry. Each run reads the topics
from their beginning and replaces what the database had.

Of each topic the table NAME_log has every record, in the order of its partition,
and the table or view NAME has what holds now: of sessions and legs the record with
the largest record_version, of audit the last one of its key, and of events, which
do not change, all. A session that another one absorbed (SUPERSEDED) is not in sessions.
Both are written to Parquet files beside the database, too.
"""

import argparse
import io
import json
import pathlib
import struct
import sys
import urllib.request

import duckdb
import fastavro
import pyarrow as pa
import pyarrow.parquet
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicPartition

PATIENCE_S = 60  # without any answer of the brokers
BATCH = 10_000  # records in one insert

# What holds now. The condition on record_state is in QUALIFY, after the choice of
# the last record: in WHERE it would bring back what a SUPERSEDED record has ended.
VIEWS = {
    "sessions": """FROM sessions_log
        QUALIFY row_number() OVER (PARTITION BY session_id ORDER BY record_version DESC) = 1
        AND record_state <> 'SUPERSEDED'""",
    "legs": """FROM legs_log
        QUALIFY row_number() OVER (PARTITION BY leg_id ORDER BY record_version DESC) = 1""",
    "events": "FROM events_log",
    "audit": """FROM audit_log
        QUALIFY row_number() OVER (PARTITION BY topic, partition ORDER BY kafka_offset DESC) = 1""",
}


class Registry:
    """The schemas of a registry, each asked for once."""

    def __init__(self, url):
        self.url = url.rstrip("/")
        self.by_id = {}

    def get(self, path):
        with urllib.request.urlopen(self.url + path, timeout=PATIENCE_S) as answer:
            return fastavro.parse_schema(json.loads(json.load(answer)["schema"]))

    def latest(self, topic):
        return self.get(f"/subjects/{topic}-value/versions/latest")

    def decode(self, value, reader):
        """The record in a value: a zero byte, the schema's id in four, and Avro."""
        magic, schema_id = struct.unpack(">bI", value[:5])
        if magic != 0:
            raise ValueError(f"a value begins with {magic}, which is not Confluent's wire format")
        if schema_id not in self.by_id:
            self.by_id[schema_id] = self.get(f"/schemas/ids/{schema_id}")
        return fastavro.schemaless_reader(io.BytesIO(value[5:]), self.by_id[schema_id], reader)


def arrow_type(avro):
    """The Arrow type of an Avro type, of those that callstitch's schemas use."""
    if isinstance(avro, list):  # ["null", T]
        return arrow_type(next(t for t in avro if t != "null"))
    if isinstance(avro, str):
        return {"string": pa.string(), "int": pa.int32(), "long": pa.int64(), "boolean": pa.bool_()}[avro]
    if avro.get("logicalType") == "timestamp-millis":
        return pa.timestamp("ms", tz="UTC")
    match avro["type"]:
        case "array":
            return pa.list_(arrow_type(avro["items"]))
        case "map":
            return pa.map_(pa.string(), arrow_type(avro["values"]))
        case "record":
            return pa.struct([(f["name"], arrow_type(f["type"])) for f in avro["fields"]])
        case name:
            return arrow_type(name)


def records(consumer, topic, partitions):
    """The committed records of a topic, up to its end."""
    consumer.assign([TopicPartition(topic, p, OFFSET_BEGINNING) for p in partitions])
    open_partitions = set(partitions)
    while open_partitions:
        message = consumer.poll(PATIENCE_S)
        if message is None:
            raise TimeoutError(f"read {topic}: no answer for {PATIENCE_S} s, {len(open_partitions)} partitions to go")
        if not message.error():
            yield message
        elif message.error().code() == KafkaError._PARTITION_EOF:
            open_partitions.discard(message.partition())
        else:
            raise KafkaException(message.error())


def load(database, consumer, registry, topic, table, partitions):
    """Puts a topic's records into a table, and says how many they are."""
    reader = registry.latest(topic)
    columns = pa.schema(list(arrow_type(reader))).append(pa.field("kafka_partition", pa.int32()))
    columns = columns.append(pa.field("kafka_offset", pa.int64())).append(pa.field("kafka_timestamp", pa.timestamp("ms", tz="UTC")))
    rows = []

    def insert(verb):
        batch = pa.Table.from_pylist(rows, columns)  # DuckDB finds it by this name
        database.execute(f"{verb} FROM batch")
        rows.clear()

    insert(f"CREATE OR REPLACE TABLE {table} AS")
    for message in records(consumer, topic, partitions):
        row = registry.decode(message.value(), reader)
        rows.append(row | {
            "kafka_partition": message.partition(), "kafka_offset": message.offset(), "kafka_timestamp": message.timestamp()[1],
        })
        if len(rows) == BATCH:
            insert(f"INSERT INTO {table}")
    insert(f"INSERT INTO {table}")


def main():
    parser = argparse.ArgumentParser(description="Loads callstitch's topics into DuckDB and Parquet.")
    parser.add_argument("--brokers", default="127.0.0.1:9092", metavar="HOST:PORT,…")
    parser.add_argument("--registry", default="http://127.0.0.1:8081/apis/ccompat/v7", metavar="URL")
    parser.add_argument("--prefix", default="", help="topics.prefix of the configuration")
    parser.add_argument("database", type=pathlib.Path, help="DuckDB file; Parquet files go beside it")
    args = parser.parse_args()

    consumer = Consumer({
        "bootstrap.servers": args.brokers,
        "group.id": "analytics",  # the client wants one; no offset is committed to it
        "enable.auto.commit": False,
        "enable.partition.eof": True,
        "isolation.level": "read_committed",
    })
    registry = Registry(args.registry)
    topics = consumer.list_topics(timeout=PATIENCE_S).topics
    with duckdb.connect(args.database) as database:
        for name, view in VIEWS.items():
            topic = f"{args.prefix}call.{name}"
            if topic not in topics:
                print(f"{topic} is not there" + " (emit.legs is off)" * (name == "legs"), file=sys.stderr)
                continue
            load(database, consumer, registry, topic, f"{name}_log", list(topics[topic].partitions))
            database.execute(f"CREATE OR REPLACE VIEW {name} AS {view}")
            for table in (name, f"{name}_log"):
                pyarrow.parquet.write_table(database.table(table).to_arrow_table(), args.database.with_name(f"{table}.parquet"))
            print(f"{name:<10}{len(database.table(name)):>8} of {len(database.table(f'{name}_log')):>8} records")
    consumer.close()


if __name__ == "__main__":
    main()
