"""read_flags: the flags of a directory, typed, streaming, without a lock.

Nothing here changes the directory, and nothing here loads Gradio.
"""

from __future__ import annotations

import heapq
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date, datetime
from itertools import repeat
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .bookkeeping import Books, Numbers, read_numbers
from .columns import Column
from .examples import example_rows
from .flag import Batch, Flag, ReadFlag
from .frame import frame_of
from .rows import Counting, OpenLog, header_of, is_noted, log_paths, open_logs

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Flag", "FlagLog", "header_of", "is_noted", "log_paths", "read_flags"]


def read_flags(
    flagging_dir: str | os.PathLike[str], *, log_name: str | None = None, books: Books | None = None
) -> FlagLog:
    """The flags in `flagging_dir`, of all its logs, in the order of their numbers.

    Nothing is read yet but the directory. A directory without logs has no flags. `log_name` and `books` are for
    other logs that are kept beside the flags, such as `reviews.csv`.

    Raises `FlagplusError` if there is no such directory or it cannot be listed.
    """
    directory = Path(os.path.abspath(flagging_dir))
    log_paths(directory, log_name, books)
    return FlagLog(directory, log_name=log_name, books=books)


class FlagLog:
    """The flags of a directory: iterate over it as often as you like, each time anew.

    An iteration gives the flags that were in the logs when it began, in the order of their numbers (in a directory
    without bookkeeping, of the numbers that its files bear), and stops at the last whole row: a torn tail, a file that
    is gone or a row with too few cells raises nothing; `check` tells of them. Writers may be at work meanwhile; no lock
    is taken. Memory stays flat, whatever the logs' length. A row with too few cells reads as if the others were empty.
    """

    def __init__(
        self,
        directory: Path,
        *,
        log_name: str | None = None,
        books: Books | None = None,
        filters: tuple[_Filter, ...] = (),
    ) -> None:
        self.directory = directory
        self._log_name, self._books, self._filters = log_name, books or Books.of(directory), filters

    def __repr__(self) -> str:
        return f"<FlagLog of '{self.directory}'>"

    def __iter__(self) -> Iterator[Flag]:
        with ExitStack() as stack:
            logs, numbers = open_logs(stack, self.directory, self._log_name, self._books), read_numbers(self._books)
            streams = [self._ordered(log, place, numbers) for place, log in enumerate(logs)]
            merged = (flag for _, _, flag in heapq.merge(*streams))
            found = self._flags(logs[0], numbers) if len(logs) == 1 else merged
            if self._filters:
                found = (flag for flag in found if all(wanted(flag) for wanted in self._filters))
            yield from found

    def _ordered(self, log: OpenLog, place: int, numbers: Numbers) -> Iterator[tuple[int, int, Flag]]:
        """The flags of one log, each with what it is merged by: never less than the one before."""
        highest = -1
        for flag in self._flags(log, numbers):
            highest = max(highest, flag.number)
            yield highest, place, flag

    def _flags(self, log: OpenLog, numbers: Numbers) -> Iterator[Flag]:
        directory, layout, name, row = self.directory, log.layout, log.path.name, 0
        count = Counting(log, numbers)
        for found, raw in log.batches():
            rows = log.padded(found)
            batch = Batch(directory, name, layout, row, rows)
            yield from map(ReadFlag, repeat(batch), count.numbers(rows, raw), range(row, row + len(rows)))
            row += len(rows)

    def __len__(self) -> int:
        """How many flags there are. Where the bookkeeping is right, only what it has not noted yet is read.

        With `where` all flags are looked at.
        """
        if self._filters:
            return sum(1 for _ in self)
        with ExitStack() as stack:
            return sum(log.count() for log in open_logs(stack, self.directory, self._log_name, self._books))

    @property
    def schema(self) -> tuple[Column, ...]:
        """The columns of all logs, each name once, as the first log that has it describes it."""
        with ExitStack() as stack:
            columns = [
                column for log in open_logs(stack, self.directory, self._log_name, self._books) for column in log.layout
            ]
        return tuple({column.name: column for column in reversed(columns)}[name] for name in _names(columns))

    @property
    def columns(self) -> tuple[str, ...]:
        """The header names of all logs, each once: those of the first log, then what later ones added."""
        return tuple(column.name for column in self.schema)

    def where(
        self,
        *,
        reason: str | Iterable[str] | None = None,
        username: str | Iterable[str] | None = None,
        since: datetime | date | str | None = None,
    ) -> FlagLog:
        """Those flags for which all of this holds; nothing is read yet. Of several reasons or names any will do.

        `since` is a moment, a day, or ISO 8601 text for either; without a time zone it is meant in local time. Flags
        without a timestamp are not since anything. Raises `ValueError` if `since` is no such text.
        """
        wanted = _Filter(_several(reason), _several(username), None if since is None else _since(since))
        return FlagLog(self.directory, log_name=self._log_name, books=self._books, filters=(*self._filters, wanted))

    def to_pandas(self) -> pd.DataFrame:
        """A DataFrame with one row a flag; its index, `number`, has the flags' numbers.

        The columns are those of the logs, with the values of `Flag.values`. Reasons are tuples, in one column where
        the log has them joined or one-hot (`df["flag"].str.join("|").str.get_dummies()` makes one column each);
        comments and names are text, timestamps are `datetime64` in UTC. Raises `ImportError` without pandas.
        """
        return frame_of(self, self.schema)

    def examples(self, inputs: Sequence[Any]) -> list[list[Any]]:
        """The flags as `gr.Interface(examples=…)` and `gr.Examples` take them: one list a flag, one value an input.

        `inputs` are the input components as the Interface has them, or names of columns. Files are absolute paths, as
        text. A flag is left out if a file that it names is not there, or if it has none in a column of files: Gradio
        would not start. An input without a column (a password, an excluded one) gets None.
        """
        return example_rows(self, self.schema, inputs)


def _names(columns: Iterable[Column]) -> dict[str, None]:
    return dict.fromkeys(column.name for column in columns)


@dataclass(frozen=True, slots=True)
class _Filter:
    """What `where` asks for; None is anything."""

    reasons: frozenset[str] | None
    usernames: frozenset[str] | None
    since: datetime | None

    def __call__(self, flag: Flag) -> bool:
        if self.reasons is not None and self.reasons.isdisjoint(flag.reasons):
            return False
        if self.usernames is not None and flag.username not in self.usernames:
            return False
        return self.since is None or ((moment := flag.timestamp) is not None and moment >= self.since)


def _several(wanted: str | Iterable[str] | None) -> frozenset[str] | None:
    if wanted is None:
        return None
    return frozenset([wanted] if isinstance(wanted, str) else wanted)


def _since(since: datetime | date | str) -> datetime:
    if isinstance(since, str):
        try:
            since = datetime.fromisoformat(f"{since[:-1]}+00:00" if since[-1:] in ("Z", "z") else since)
        except ValueError as error:
            raise ValueError(
                f"since={since!r} is no ISO 8601 time, like '2026-01-31' or '2026-01-31T12:00Z'."
            ) from error
    if not isinstance(since, datetime):
        since = datetime(since.year, since.month, since.day)
    return since if since.tzinfo else since.astimezone()
