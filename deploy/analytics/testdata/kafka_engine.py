"""Reads call.sessions with ClickHouse's Kafka engine, and answers questions.

    kafka_engine.py BROKERS REGISTRY FILE.parquet question.sql …

It runs clickhouse.sql in an embedded ClickHouse, with these addresses. This one has no
background threads for engines of its kind, so that a new Kafka table complains of a
shutdown, and a materialized view waits for ever: the view's select is run by hand. What
the calls are then, goes to a Parquet file, too.
"""

import pathlib
import sys
import time
import uuid

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from chdb import session  # noqa: E402

import ask  # noqa: E402
import load  # noqa: E402

TOPIC = "call.sessions"
PATIENCE_S = 120
SQL = pathlib.Path(__file__).resolve().parent.parent / "clickhouse.sql"
BY_HAND = "SETTINGS stream_like_engine_allow_direct_select = 1, session_timezone = 'UTC'"


def statements(text):
    """The statements of a file. None of its texts and comments has a semicolon at the end of a line."""
    code = "\n".join(line for line in text.splitlines() if not line.startswith("--"))
    return [s.strip() for s in code.split(";\n") if s.strip()]


def attempts(failure):
    """A select ends when nothing has come for a while, which may be before the group has met,
    and begins anew the next time."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        yield
    raise SystemExit(f"after {PATIENCE_S} s {failure}")


class Engine(ask.ClickHouse):
    """ClickHouse with the tables of clickhouse.sql, filled from Kafka."""

    def __init__(self, brokers, registry):
        self.session = session.Session()
        text = SQL.read_text()
        for documented, address in {"127.0.0.1:9092": brokers, "http://127.0.0.1:8081/apis/ccompat/v7": registry}.items():
            if text.count(f"'{documented}'") != 1:
                raise SystemExit(f"{SQL.name} names {documented} {text.count(documented)} times")
            text = text.replace(f"'{documented}'", f"'{address}'")
        # Another run may have left its member in the group; and this machine may be slow.
        text = text.replace("'clickhouse-sessions'", f"'clickhouse-sessions-{uuid.uuid4()}', kafka_poll_timeout_ms = 1000")
        for statement in statements(text):
            self.create(statement)
        self.stands_still(statements(text)[0].replace(registry, "http://127.0.0.1:1"))
        feed = self.session.query("SELECT as_select FROM system.tables WHERE name = 'sessions_feed'", "TSVRaw").bytes().decode()
        self.session.query("DROP VIEW sessions_feed")  # beside which nobody else may read
        self.session.query("SYSTEM STOP MERGES sessions_last")  # a reader may come before them
        self.read(feed, last_offsets(brokers, registry))
        self.session.query("INSERT INTO sessions_last SELECT * FROM sessions_last")  # and records may come twice

    def read(self, feed, last):
        """Reads up to the last record of each partition."""
        for _ in attempts(f"not all is read up to {last}"):
            self.session.query(f"INSERT INTO sessions_last {feed} {BY_HAND}")
            _, rows = self.answer("SELECT kafka_partition, toString(max(kafka_offset)) FROM sessions_last GROUP BY kafka_partition")
            if {p: int(offset) for p, offset in rows} == last:
                return

    def create(self, statement):
        try:
            self.session.query(statement)
        except Exception as e:
            if "ENGINE = Kafka" not in statement or "Shutdown was called" not in str(e):
                raise

    def stands_still(self, statement):
        """Without a registry nothing is read, and nothing passed over."""
        self.create(statement.replace("sessions_queue", "without_registry").replace("clickhouse-sessions", "clickhouse-without"))
        for _ in attempts("nothing is read without a registry"):
            try:
                # In a form without a head, which a query that fails would leave to the next one.
                count = f"SELECT count() FROM without_registry {BY_HAND}, format_avro_schema_registry_max_retries = 0"
                passed = int(self.session.query(count, "TSV").bytes())
            except Exception as e:
                if "while fetching schema id" in str(e):
                    return
                raise
            if passed:
                raise SystemExit(f"a registry that is away is passed over, and {passed} records with it")


def last_offsets(brokers, registry):
    """The offset of the last record of each partition that has one."""
    consumer = load.new_consumer(brokers)
    topic = load.Topic(consumer, load.Registry(registry), TOPIC, list(consumer.list_topics(TOPIC).topics[TOPIC].partitions))
    last = {m.partition(): m.offset() for m in topic.records({})}
    consumer.close()
    return last


def main():
    engine = Engine(sys.argv[1], sys.argv[2])
    engine.session.query(f"SELECT * FROM sessions INTO OUTFILE '{sys.argv[3]}' FORMAT Parquet")
    for question in sys.argv[4:]:
        print(ask.table(*engine.answer(pathlib.Path(question).read_text())), end="\n\n")


if __name__ == "__main__":
    main()
