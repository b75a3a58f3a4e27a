"""Flags as one file: JSON lines, or Parquet."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from .cells import json_text
from .job import CannotExport, Job
from .reader import Flag
from .table import Field, Type, meta_value, plain

_BATCH = 1000
"""How many rows are held at a time."""


def write_jsonl(job: Job) -> None:
    """`flags.jsonl`: an object a flag, with the same keys in all of them and values as they are.

    A file is its path relative to the export, or to the flagging directory where files are not copied; one that is
    gone is null in a file column.
    """
    table = job.table()
    fields = list({(field.meta, field.column): field for field in reversed(table.fields)}.values())[::-1]
    with open(job.place / "flags.jsonl", "w", encoding="utf-8", newline="\n") as file:
        file.writelines(
            json_text({field.name: _value(field, flag) for field in fields}) + "\n" for flag in job.flags(table)
        )


def _value(field: Field, flag: Flag) -> object:
    if field.meta:
        return meta_value(flag, field.column)
    value = flag.values.get(field.column)
    return None if isinstance(value, Path) and not value.is_file() else plain(flag, value)


def write_parquet(job: Job) -> None:
    """`flags.parquet`: a column a field, typed; a column whose values differ in type holds JSON as text."""
    table = job.table()
    write_rows(job.place / "flags.parquet", table.fields, map(table.row, job.flags(table)))


def write_rows(path: Path, fields: Sequence[Field], rows: Iterable[dict[str, Any]]) -> None:
    """A Parquet file of rows. Raises `CannotExport` where pyarrow is not installed."""
    pa = arrow()
    if pa is None:
        raise CannotExport("Parquet needs pyarrow, which is not installed. Nothing was written; pip install pyarrow.")
    import pyarrow.parquet as pq  # type: ignore[import-untyped,unused-ignore]

    schema = pa.schema([(field.name, _arrow_type(pa, field.type)) for field in fields])
    with pq.ParquetWriter(path, schema) as writer:
        for batch in _batches(rows):
            writer.write_table(pa.Table.from_pylist(batch, schema=schema))


def arrow() -> Any:
    """pyarrow, or None where it is not installed."""
    try:
        import pyarrow as pa  # type: ignore[import-untyped,unused-ignore]
    except ImportError:
        return None
    return pa


def _arrow_type(pa: Any, type_: Type) -> Any:
    types = {"bool": pa.bool_(), "int": pa.int64(), "float": pa.float64()}
    return pa.list_(pa.string()) if type_ in ("texts", "files") else types.get(type_, pa.string())


def _batches(rows: Iterable[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    rows = iter(rows)
    while batch := list(islice(rows, _BATCH)):
        yield batch
