"""Prints decoded records as `callstitch tail` does, one JSON object a line.

    plain.py FILE.parquet        as pyarrow reads them
    plain.py TOPIC REGISTRY      as fastavro reads the values that kcat wrote to standard
                                 input with -f '%S %s': each with its length before it
"""

import datetime
import json
import pathlib
import sys

import pyarrow.parquet

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import load  # noqa: E402


def plain(value):
    """A value in JSON's types: instants in milliseconds, maps as objects."""
    match value:
        case datetime.datetime():
            return round(value.timestamp() * 1000)
        case dict():
            return {k: plain(v) for k, v in value.items()}
        case list():
            return [plain(v) for v in value]
    return value


def of_parquet(path):
    table = pyarrow.parquet.read_table(path)
    for row in table.to_pylist(maps_as_pydicts="strict"):
        yield {k: v for k, v in row.items() if not k.startswith("kafka_")}


def of_kcat(topic, registry):
    reader, values = registry.latest(topic), sys.stdin.buffer
    while length := b"".join(iter(lambda: values.read(1).strip(), b"")):
        yield registry.decode(values.read(int(length)), reader)


def main():
    source = of_parquet(sys.argv[1]) if len(sys.argv) == 2 else of_kcat(sys.argv[1], load.Registry(sys.argv[2]))
    for record in source:
        print(json.dumps(plain(record), ensure_ascii=False, separators=(",", ":")))


if __name__ == "__main__":
    main()
