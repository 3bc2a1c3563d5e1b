"""Holds what load.py promises of a table in an Iceberg catalogue: iceberg_tables.py CATALOG."""

import pathlib
import sys
import types

import pyarrow as pa
from pyiceberg.exceptions import CommitFailedException

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import load  # noqa: E402


def rows(version, extra=None):
    columns = {"session_id": ["a", "b"], "record_version": [version, version]}
    return pa.table(columns | ({"added": [extra, extra]} if extra else {}))


def main():
    iceberg = load.Iceberg(sys.argv[1])

    # Of two runs that append the same, one does.
    first, second = (iceberg.table("overtaken", rows(1).schema) for _ in range(2))
    iceberg.append(first, rows(1), {0: 2})
    for following in ({0: 2}, {0: 3}):
        try:
            iceberg.append(second, rows(1), following)
        except CommitFailedException:
            continue
        raise SystemExit("two runs have appended the same")

    # A column that a newer schema has is added, and is null in older rows.
    table = iceberg.table("overtaken", rows(2, "x").schema)
    iceberg.append(table, rows(2, "x"), {0: 4})
    found = table.scan().to_arrow().sort_by("record_version")
    if found["added"].to_pylist() != [None, None, "x", "x"] or table.properties[load.Iceberg.NEXT + "0"] != "4":
        raise SystemExit(f"the table has {found.to_pylist()} and {table.properties}")

    # Offsets are of one topic: those of one with another name, or made anew, are not gone on with.
    known = types.SimpleNamespace(name="call.overtaken", id="1")
    kept = iceberg.table("kept", rows(1).schema, {iceberg.TOPIC: "call.overtaken 1"})
    iceberg.begin(kept, known)
    for other in ({"name": "g2.call.overtaken"}, {"id": "2"}):
        try:
            iceberg.begin(kept, types.SimpleNamespace(**vars(known) | other))
        except SystemExit:
            continue
        raise SystemExit(f"offsets of {vars(known)} are taken for those of one with {other}")

    # A merge takes the record with the largest version, in whatever order they were appended.
    load.KEYS["overtaken"] = "session_id"
    log = iceberg.table("overtaken_log", rows(1).schema)
    for version, want in ((5, 5), (3, 5), (7, 7)):
        iceberg.append(log, rows(version), {})
        iceberg.merge("overtaken")
        merged = iceberg.catalogue.load_table(f"{load.NAMESPACE}.overtaken_last").scan().to_arrow()
        if merged["record_version"].to_pylist() != [want, want]:
            raise SystemExit(f"merged with version {version}: {merged.to_pylist()}")


if __name__ == "__main__":
    main()
