"""Answers questions from what load.py made.

    ask.py calls.duckdb questions/01_answer_rate.sql …
    ask.py --clickhouse calls.duckdb questions/01_answer_rate.sql …
    ask.py --iceberg CATALOG[.NAMESPACE] questions/01_answer_rate.sql …

Each answer is printed as a Markdown table. Hours and days are those of UTC. With
--clickhouse an embedded ClickHouse answers from the Parquet files beside the database,
with --iceberg DuckDB from the tables of a catalogue.
"""

import argparse
import json
import pathlib

import duckdb

import load


class DuckDB:
    def __init__(self, path):
        self.database = duckdb.connect(path, read_only=path != ":memory:")
        self.database.execute("SET TimeZone = 'UTC'")

    def answer(self, question):
        answer = self.database.execute(question)
        return [c[0] for c in answer.description], answer.fetchall()


class Iceberg(DuckDB):
    """DuckDB on what the tables have now, with the views of load.py."""

    def __init__(self, catalogue):
        super().__init__(":memory:")
        iceberg = load.Iceberg(catalogue)
        tables = iceberg.catalogue
        for _, name in tables.list_tables(iceberg.namespace):
            self.database.register(name, tables.load_table(f"{iceberg.namespace}.{name}").scan().to_arrow())
        for name, view in load.VIEWS.items():
            if tables.table_exists(f"{iceberg.namespace}.{name}_log"):
                self.database.execute(f"CREATE VIEW {name} AS {view}")


class ClickHouse:
    def __init__(self, path):
        from chdb import session  # requirements-clickhouse.txt

        self.session = session.Session()
        for file in pathlib.Path(path).resolve().parent.glob("*.parquet"):
            self.session.query(f"CREATE VIEW {file.stem} AS SELECT * FROM file('{file}')")

    def answer(self, question):
        answer = json.loads(self.session.query(question, "JSONCompact").bytes())
        return [c["name"] for c in answer["meta"]], answer["data"]


def cell(value):
    if value is None:
        return "–"
    return str(value).removesuffix("+00:00").removesuffix(".0")


def table(names, rows):
    """A Markdown table whose columns are as wide as what is in them."""
    lines = [names] + [[cell(v) for v in row] for row in rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(names))]
    lines.insert(1, ["-" * w for w in widths])
    return "\n".join("| " + " | ".join(c.ljust(w) for c, w in zip(line, widths)) + " |" for line in lines)


def main():
    parser = argparse.ArgumentParser(description="Answers SQL questions from what load.py made.")
    engine = parser.add_mutually_exclusive_group()
    engine.add_argument("--clickhouse", dest="engine", action="store_const", const=ClickHouse, help="ask ClickHouse, not DuckDB")
    engine.add_argument("--iceberg", dest="engine", action="store_const", const=Iceberg, help="ask an Iceberg catalogue's tables")
    parser.add_argument("database", help="what load.py filled")
    parser.add_argument("questions", type=pathlib.Path, nargs="+", help="SQL files")
    args = parser.parse_args()
    engine = (args.engine or DuckDB)(args.database)
    for question in args.questions:
        print(table(*engine.answer(question.read_text())), end="\n\n")


if __name__ == "__main__":
    main()
