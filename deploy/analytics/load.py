"""Loads callstitch's topics into a DuckDB database and Parquet files, or into Iceberg.

    load.py --brokers 127.0.0.1:9092 --registry http://127.0.0.1:8081/apis/ccompat/v7 calls.duckdb
    load.py --iceberg CATALOG[.NAMESPACE]
    load.py --iceberg --merge CATALOG[.NAMESPACE]

It knows Kafka, Confluent's wire format and Avro, and nothing of callstitch: columns
and types are those of the newest schema in the registry.

Of each topic the table NAME_log has every record, in the order of its partition,
and the table or view NAME has what holds now: of sessions and legs the record with
the largest record_version, of audit the last one of its key, and of events
and settled sessions, which do not change, all. A session that another one absorbed (SUPERSEDED) is not in sessions.

A database is filled anew by each run, from the beginning of the topics, and Parquet files
are written beside it. To the tables of an Iceberg catalogue each run appends what is new,
each record once: see Iceberg. What holds now is there for the engine to select, as VIEWS
does; with --merge, NAME_last has a row for each call and leg, too.
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
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient

PATIENCE_S = 60  # without any answer of the brokers
BATCH = 10_000  # records in one insert
COMMIT = 100_000  # records in one commit to Iceberg, which makes a file of them
NAMESPACE = "callstitch"  # of the tables in a catalogue, unless another one is named

# What holds now. The condition on record_state is in QUALIFY, after the choice of
# the last record: in WHERE it would bring back what a SUPERSEDED record has ended.
VIEWS = {
    "sessions": """FROM sessions_log
        QUALIFY row_number() OVER (PARTITION BY session_id ORDER BY record_version DESC) = 1
        AND record_state <> 'SUPERSEDED'""",
    "legs": """FROM legs_log
        QUALIFY row_number() OVER (PARTITION BY leg_id ORDER BY record_version DESC) = 1""",
    "events": "FROM events_log",
    "settled": "FROM settled_log",
    "audit": """FROM audit_log
        QUALIFY row_number() OVER (PARTITION BY topic, partition ORDER BY kafka_offset DESC) = 1""",
}

# The topics that are only there where they are asked for.
OPTIONAL = ("legs", "settled")

# What has one row for each key in NAME_last.
KEYS = {"sessions": "session_id", "legs": "leg_id"}


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


def new_consumer(brokers):
    return Consumer({
        "bootstrap.servers": brokers,
        "group.id": "analytics",  # the client wants one; no offset is committed to it
        "enable.auto.commit": False,
        "enable.partition.eof": True,
        "isolation.level": "read_committed",
    })


def id_of(brokers, topic):
    """The id that a topic was given when it was made."""
    admin = AdminClient({"bootstrap.servers": brokers, "log_level": 4})
    return str(admin.describe_topics(TopicCollection([topic]), request_timeout=PATIENCE_S)[topic].result().topic_id)


def columns_of(avro):
    """The columns of a topic's table: those of its schema, and where a record was."""
    columns = pa.schema(list(arrow_type(avro))).append(pa.field("kafka_partition", pa.int32()))
    return columns.append(pa.field("kafka_offset", pa.int64())).append(pa.field("kafka_timestamp", pa.timestamp("ms", tz="UTC")))


class Topic:
    """A topic, and how it is read."""

    def __init__(self, consumer, registry, name, partitions, id=""):
        self.consumer, self.registry, self.name, self.partitions, self.id = consumer, registry, name, partitions, id
        self.avro = registry.latest(name)
        self.columns = columns_of(self.avro)

    def records(self, begin):
        """The committed records from an offset of each partition up to its end, without tombstones."""
        self.consumer.assign([TopicPartition(self.name, p, begin.get(p, OFFSET_BEGINNING)) for p in self.partitions])
        open_partitions = set(self.partitions)
        while open_partitions:
            message = self.consumer.poll(PATIENCE_S)
            if message is None:
                raise TimeoutError(f"read {self.name}: no answer for {PATIENCE_S} s, {len(open_partitions)} partitions to go")
            if not message.error():
                if message.value() is not None:
                    yield message
            elif message.error().code() == KafkaError._PARTITION_EOF:
                open_partitions.discard(message.partition())
            else:
                raise KafkaException(message.error())

    def batches(self, size, begin={}):
        """The records as Arrow tables of that size, each with the offsets that come next.
        There is one at least; the last one may be empty."""
        rows, following = [], dict(begin)
        for message in self.records(begin):
            row = self.registry.decode(message.value(), self.avro)
            rows.append(row | {
                "kafka_partition": message.partition(), "kafka_offset": message.offset(), "kafka_timestamp": message.timestamp()[1],
            })
            following[message.partition()] = message.offset() + 1
            if len(rows) == size:
                yield pa.Table.from_pylist(rows, self.columns), dict(following)
                rows.clear()
        yield pa.Table.from_pylist(rows, self.columns), following


class DuckDB:
    """A database file that is filled anew, and Parquet files beside it."""

    def __init__(self, path):
        self.path = pathlib.Path(path)
        self.database = duckdb.connect(self.path)

    def load(self, name, topic):
        verb = f"CREATE OR REPLACE TABLE {name}_log AS"
        for batch, _ in topic.batches(BATCH):  # DuckDB finds it by this name
            self.database.execute(f"{verb} FROM batch")
            verb = f"INSERT INTO {name}_log"
        self.database.execute(f"CREATE OR REPLACE VIEW {name} AS {VIEWS[name]}")
        for table in (name, f"{name}_log"):
            pyarrow.parquet.write_table(self.database.table(table).to_arrow_table(), self.path.with_name(f"{table}.parquet"))
        return f"{len(self.database.table(name)):>8} of {len(self.database.table(f'{name}_log')):>8} records"


class Iceberg:
    """The tables of a catalogue, which grow.

    A table keeps the offsets that come next among its properties, and a commit has both
    or neither: whenever a run ends, the next one goes on where it was, and no record is
    there twice. A commit that another run was faster with fails, and is not tried again,
    as what it would append is there by then. Offsets are those of one topic, whose name
    and id are kept too: of another one they would pass over records.
    """

    NEXT = "callstitch.next."  # the offset of a partition
    TOPIC = "callstitch.topic"  # whose offsets those are
    MERGED = "callstitch.merged"  # the snapshot of NAME_log that NAME_last knows
    ALONE = {"commit.retry.num-retries": "0"}

    def __init__(self, target):
        from pyiceberg.catalog import load_catalog  # requirements-iceberg.txt

        catalogue, _, namespace = target.partition(".")
        self.catalogue, self.namespace = load_catalog(catalogue), namespace or NAMESPACE
        self.catalogue.create_namespace_if_not_exists(self.namespace)

    def table(self, name, columns, properties={}):
        """The table of that name. Columns that a newer schema has are added, and are null in older rows."""
        table = self.catalogue.create_table_if_not_exists(f"{self.namespace}.{name}", columns, properties=self.ALONE | properties)
        if set(columns.names) - set(table.schema().column_names):
            with table.update_schema() as update:
                update.union_by_name(columns)
        return table

    def load(self, name, topic):
        table = self.table(f"{name}_log", topic.columns, {self.TOPIC: f"{topic.name} {topic.id}"})
        added = 0
        for batch, following in topic.batches(COMMIT, self.begin(table, topic)):
            added += self.append(table, batch, following)
        return f"{added:>8} more records"

    def begin(self, table, topic):
        """The offsets to go on with, in the topic that they are of."""
        was, now = table.properties.get(self.TOPIC), f"{topic.name} {topic.id}"
        if was != now:
            raise SystemExit(f"{'.'.join(table.name())} has records of the topic {was}, and this one is {now}, another one or made anew: load it into a namespace of its own, CATALOG.NAMESPACE")
        begin = {int(k.removeprefix(self.NEXT)): int(v) for k, v in table.properties.items() if k.startswith(self.NEXT)}
        for partition, offset in begin.items():
            first, end = topic.consumer.get_watermark_offsets(TopicPartition(topic.name, partition), timeout=PATIENCE_S)
            if offset > end:
                raise SystemExit(f"{topic.name}-{partition} ends at {end}, and {'.'.join(table.name())} has it up to {offset}: brokers have lost records; load it into another namespace, CATALOG.NAMESPACE")
            if offset < first:
                print(f"{topic.name}-{partition}: retention has taken records from {offset} to {first} that were not read", file=sys.stderr)
                begin[partition] = first
        return begin

    def append(self, table, batch, following):
        if len(batch) > 0:
            with table.transaction() as transaction:
                transaction.append(batch)
                transaction.set_properties({f"{self.NEXT}{p}": str(offset) for p, offset in following.items()})
        return len(batch)

    def merge(self, name):
        """Brings NAME_last up to NAME_log: a row for each key, with the largest record_version."""
        key = KEYS[name]
        log = self.catalogue.load_table(f"{self.namespace}.{name}_log")
        snapshot = log.current_snapshot()
        columns = log.schema().as_arrow()
        last = self.table(f"{name}_last", columns)
        merged = last.properties.get(self.MERGED)
        if snapshot is None or str(snapshot.snapshot_id) == merged:
            return 0
        if merged and log.snapshot_by_id(int(merged)):
            news = log.incremental_append_scan(from_snapshot_id_exclusive=int(merged)).to_arrow()
        else:  # nothing is merged yet, or the snapshot has expired
            news = log.scan().to_arrow()
        news = duckdb.sql(f"FROM news QUALIFY row_number() OVER (PARTITION BY {key} ORDER BY record_version DESC) = 1").to_arrow_table()
        known = last.scan(selected_fields=(key, "record_version")).to_arrow()
        rows = duckdb.sql(f"SELECT news.* FROM news LEFT JOIN known USING ({key}) WHERE news.record_version > coalesce(known.record_version, -1)").to_arrow_table()
        with last.transaction() as transaction:
            if len(rows) > 0:
                transaction.upsert(rows.cast(columns), join_cols=[key])
            transaction.set_properties({self.MERGED: str(snapshot.snapshot_id)})
        return len(rows)


def main():
    parser = argparse.ArgumentParser(description="Loads callstitch's topics into DuckDB and Parquet, or into Iceberg.")
    parser.add_argument("--brokers", default="127.0.0.1:9092", metavar="HOST:PORT,…")
    parser.add_argument("--registry", default="http://127.0.0.1:8081/apis/ccompat/v7", metavar="URL")
    parser.add_argument("--prefix", default="", help="topics.prefix of the configuration")
    parser.add_argument("--iceberg", action="store_true", help="append to the tables of an Iceberg catalogue")
    parser.add_argument("--merge", action="store_true", help="with --iceberg: bring the tables of last records up to date, too")
    parser.add_argument("target", help=f"DuckDB file, beside which Parquet files go; with --iceberg a catalogue, as pyiceberg knows it, and behind a dot the tables' namespace, if it is not {NAMESPACE}")
    args = parser.parse_args()

    consumer = new_consumer(args.brokers)
    registry = Registry(args.registry)
    topics = consumer.list_topics(timeout=PATIENCE_S).topics
    target = (Iceberg if args.iceberg else DuckDB)(args.target)
    for name in VIEWS:
        topic = f"{args.prefix}call.{name}"
        if topic not in topics:
            print(f"{topic} is not there" + f" (emit.{name} is off)" * (name in OPTIONAL), file=sys.stderr)
            continue
        id = id_of(args.brokers, topic) if args.iceberg else ""
        print(f"{name:<10}{target.load(name, Topic(consumer, registry, topic, list(topics[topic].partitions), id))}")
        if args.merge and name in KEYS:
            print(f"{name:<10}{target.merge(name):>8} rows of the last records are new")
    consumer.close()


if __name__ == "__main__":
    main()
