"""Answers questions from what load.py made.

    ask.py calls.duckdb questions/01_answer_rate.sql …
    ask.py --clickhouse calls.duckdb questions/01_answer_rate.sql …

Each answer is printed as a Markdown table. Hours and days are those of UTC. With
--clickhouse an embedded ClickHouse answers from the Parquet files beside the database.
"""

import argparse
import json
import pathlib

import duckdb


class DuckDB:
    def __init__(self, path):
        self.database = duckdb.connect(path, read_only=True)
        self.database.execute("SET TimeZone = 'UTC'")

    def answer(self, question):
        answer = self.database.execute(question)
        return [c[0] for c in answer.description], answer.fetchall()


class ClickHouse:
    def __init__(self, path):
        from chdb import session  # requirements-clickhouse.txt

        self.session = session.Session()
        for file in path.resolve().parent.glob("*.parquet"):
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
    parser.add_argument("--clickhouse", action="store_true", help="ask ClickHouse, not DuckDB")
    parser.add_argument("database", type=pathlib.Path)
    parser.add_argument("questions", type=pathlib.Path, nargs="+", help="SQL files")
    args = parser.parse_args()
    engine = (ClickHouse if args.clickhouse else DuckDB)(args.database)
    for question in args.questions:
        print(table(*engine.answer(question.read_text())), end="\n\n")


if __name__ == "__main__":
    main()
