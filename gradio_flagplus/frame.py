"""Flags as a pandas DataFrame."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from .columns import Column, untaken
from .flag import Flag

if TYPE_CHECKING:
    import pandas as pd


def frame_of(flags: Iterable[Flag], schema: Sequence[Column]) -> pd.DataFrame:
    """See `FlagLog.to_pandas`."""
    try:
        import pandas
    except ImportError as error:
        raise ImportError("to_pandas() needs pandas, which is not installed: pip install pandas") from error
    columns, numbers = _columns(schema), []
    cells: dict[str, list[Any]] = {name: [] for name in columns}
    for flag in flags:
        numbers.append(flag.number)
        for name, role in columns.items():
            cells[name].append(_cell(flag, role, name))
    index = pandas.Index(numbers, dtype="int64", name="number")
    frame: pd.DataFrame = pandas.DataFrame(cells, index=index, columns=list(columns))
    for name, role in columns.items():
        if role == "timestamp":
            frame[name] = pandas.to_datetime(frame[name], utc=True)
    return frame


def _columns(schema: Sequence[Column]) -> dict[str, str]:
    """The columns with their roles: as the log has them, but one column for one-hot reasons."""
    joined = [column.name for column in schema if column.role == "reasons"]
    reasons = joined[0] if joined else untaken("flag", [column.name for column in schema])
    columns: dict[str, str] = {}
    for column in schema:
        if column.role in ("reason", "reasons"):
            columns.setdefault(reasons, "reasons")
        else:
            columns.setdefault(column.name, column.role)
    return columns


def _cell(flag: Flag, role: str, name: str) -> Any:
    return getattr(flag, role) if role in ("reasons", "comment", "username", "timestamp") else flag.values.get(name)
