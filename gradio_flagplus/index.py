"""An index of the flags of a directory, in NumPy arrays: where each row is, and what filters ask of it.

It grows with the logs and reads each byte of them once. Nothing here takes a lock on the directory or writes anything.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np

from . import record
from .bookkeeping import Books, Numbers, read_numbers, read_schema, read_state
from .follow import Follower, Rewritten, Stretch, text_of
from .layout import Layout, layout_of
from .reader import Flag, header_of, is_noted, log_paths

Array = np.ndarray[Any, np.dtype[Any]]
_ROW = np.dtype(
    [(name, "i8") for name in ("number", "row", "start", "end", "when")]
    + [(name, "i4") for name in ("reasons", "user", "log")]
)
NEVER = np.iinfo(np.int64).min
"""The `when` of a flag that has no time; others are milliseconds since 1970, in UTC."""


class Codes:
    """Values that recur, each with a small number."""

    def __init__(self, empty: Any) -> None:
        self.values: list[Any] = [empty]
        self._codes: dict[Any, int] = {empty: 0}

    def of(self, value: Any) -> int:
        """The number of this value; a new one if it was never seen."""
        code = self._codes.setdefault(value, len(self.values))
        if code == len(self.values):
            self.values.append(value)
        return code

    def get(self, value: Any) -> int:
        """The number of this value, or -1."""
        return self._codes.get(value, -1)


class _CellCodes(dict[Any, int]):
    """The numbers of the values that cells stand for; each cell is read once."""

    def __init__(self, codes: Codes, value: Callable[[Any], Any]) -> None:
        self._of, self._value = codes.of, value

    def __missing__(self, cells: Any) -> int:
        code = self[cells] = self._of(self._value(cells))
        return code


class _Log:
    """One log, how far it was read, and which of its columns the index is made of."""

    def __init__(self, path: Path, layout: Layout, first: int) -> None:
        self.path, self.layout, self.rows = path, layout, 0
        self.shift = self.following = first
        self.follower = Follower(path)
        roles = [column.role for column in layout]
        self.reasons = [i for i, role in enumerate(roles) if role in ("reasons", "reason")]
        self.user, self.when = layout.place("username"), layout.place("timestamp")
        claims = {claim.needle for claim in layout.claims}
        self.named = [i for i, column in enumerate(layout) if f"{column.folder}/".encode() in claims]
        self._codes: dict[str, _CellCodes] = {}
        self.wanted = [*self.reasons, *(i for i in (self.user, self.when) if i is not None), *self.named]

    def reason_codes(self, codes: Codes) -> _CellCodes:
        """For the cells of the reasons' columns the number of what they say together."""
        return self._codes.setdefault("reasons", _CellCodes(codes, self._said))

    def user_codes(self, codes: Codes) -> _CellCodes:
        """For a cell of the user's column the number of the user."""
        return self._codes.setdefault("user", _CellCodes(codes, text_of))

    def _said(self, cells: Sequence[bytes]) -> tuple[str, ...]:
        texts = [""] * len(self.layout)
        for column, cell in zip(self.reasons, cells, strict=True):
            texts[column] = text_of(cell)
        return self.layout.reasons(texts)


@dataclass(frozen=True)
class Snapshot:
    """The flags that were there at one moment, by number. It does not change when the directory does."""

    directory: Path
    table: Array
    logs: tuple[_Log, ...]
    reasons: Codes
    users: Codes
    age: int
    """Grows when the logs were written anew, so that what was found before is worth nothing."""

    def __len__(self) -> int:
        return len(self.table)

    def flag(self, position: int) -> Flag:
        """The flag at this place of the table. Raises `OSError` if its log is gone."""
        row = self.table[position]
        log = self.logs[row["log"]]
        with open(log.path, "rb") as file:
            file.seek(int(row["start"]))
            cells = record.decode(file.read(int(row["end"] - row["start"])))
        cells += [""] * (len(log.layout) - len(cells))
        return Flag(self.directory, int(row["number"]), log.path.name, int(row["row"]), log.layout, cells)

    def position(self, number: int) -> int | None:
        """Where the flag with this number is, or None."""
        place = int(np.searchsorted(self.table["number"], number))
        return place if place < len(self.table) and self.table["number"][place] == number else None

    def user_names(self) -> list[str]:
        """Everybody who flagged, in the order of the alphabet."""
        return sorted((name for name in self.users.values if name), key=str.casefold)

    def reason_names(self) -> list[str]:
        """Every reason that was given, in the order of the alphabet."""
        return sorted({reason for reasons in self.reasons.values for reason in reasons}, key=str.casefold)

    def reason_counts(self, found: Array) -> dict[str, int]:
        """How often each reason was given among the flags found, most often first."""
        counts: dict[str, int] = {}
        for code, count in enumerate(np.bincount(self.table["reasons"][found])):
            for reason in self.reasons.values[code] if count else ():
                counts[reason] = counts.get(reason, 0) + int(count)
        return dict(sorted(counts.items(), key=lambda item: -item[1]))

    def moments(self, found: Array) -> Array:
        """When the flags found were made, as `datetime64[ms]` in UTC, without those that have no time."""
        when: Array = self.table["when"][found]
        known: Array = when[when != NEVER].astype("datetime64[ms]")
        return known


class Index:
    """The index of one directory. One thread at a time may `look`."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._age = 0
        self._forget()

    def _forget(self) -> None:
        self._logs: dict[str, _Log] = {}
        self._table = np.empty(0, _ROW)
        self._reasons, self._users = Codes(()), Codes("")
        self._age += 1

    def look(self) -> Snapshot:
        """The flags that are there now. A directory that does not exist has none.

        Raises `FlagplusError` or `OSError` if it cannot be read.
        """
        if not self.directory.exists():
            self._forget()
        else:
            try:
                self._read_on()
            except (Rewritten, FileNotFoundError):
                self._forget()
                self._read_on()
        logs = tuple(self._logs.values())
        return Snapshot(self.directory, self._table, logs, self._reasons, self._users, self._age)

    def _read_on(self) -> None:
        paths = log_paths(self.directory)
        if [path.name for path in paths][: len(self._logs)] != list(self._logs):
            raise Rewritten(self.directory)
        if all(path.name in self._logs and not self._logs[path.name].follower.has_news() for path in paths):
            return
        books = Books.of(self.directory)
        schema, state, numbers = read_schema(books), read_state(books), read_numbers(books)
        found: list[Array] = []
        for path in paths:
            log = self._known(path, schema.get(path.name, ()), numbers)
            if log is not None and log.follower.has_news():
                note = state.logs.get(path.name) if state else None
                with open(path, "rb") as file:
                    certain = is_noted(file, file.seek(0, 2), note)
                found += [self._rows(log, stretch, numbers, certain=certain) for stretch in log.follower.news()]
        self._add(found)

    def _known(self, path: Path, noted: tuple[Any, ...], numbers: Numbers) -> _Log | None:
        """The log of this path; None where it has no header yet."""
        if path.name not in self._logs:
            with open(path, "rb") as file:
                header = header_of(file)
            if header is None:
                return None
            before = sum(log.rows for log in self._logs.values())
            first = 0 if not self._logs or numbers.of(path.name, 0) else before
            self._logs[path.name] = _Log(path, layout_of(header, noted), first)
        return self._logs[path.name]

    def _add(self, found: list[Array]) -> None:
        news = np.concatenate([np.empty(0, _ROW), *found])
        news = news[np.argsort(news["number"], kind="stable")]
        late = len(news) and len(self._table) and news["number"][0] < self._table["number"][-1]
        self._table = np.concatenate([self._table, news])
        if late:  # somebody else's numbers: the places of the others change
            self._table = self._table[np.argsort(self._table["number"], kind="stable")]
            self._age += 1

    def _rows(self, log: _Log, stretch: Stretch, numbers: Numbers, *, certain: bool) -> Array:
        """The index of the rows in this stretch of the log."""
        header = stretch.place == 0
        starts, ends = stretch.starts[header:], stretch.ends[header:]
        rows = np.zeros(len(starts), _ROW)
        rows["start"], rows["end"] = starts + stretch.place, ends + stretch.place
        rows["row"] = np.arange(log.rows, log.rows + len(rows))
        rows["log"], rows["when"] = list(self._logs).index(log.path.name), NEVER
        noted = numbers_of(numbers, log.path.name, log.rows, log.rows + len(rows))
        body = Stretch(stretch.place, stretch.data, starts, ends)
        columns = dict(zip(log.wanted, body.columns(len(log.layout), log.wanted), strict=True))
        self._describe(log, rows, columns)
        rows["number"] = self._numbers(log, noted, columns, certain=certain)
        log.rows += len(rows)
        return rows

    def _describe(self, log: _Log, rows: Array, columns: dict[int, list[bytes]]) -> None:
        """Fill in the reasons, the user and the time."""
        if log.reasons:
            given = zip(*(columns[column] for column in log.reasons), strict=True)
            rows["reasons"] = [*map(log.reason_codes(self._reasons).__getitem__, given)]
        if log.user is not None:
            rows["user"] = [*map(log.user_codes(self._users).__getitem__, columns[log.user])]
        if log.when is not None:
            rows["when"] = milliseconds(columns[log.when])

    def _numbers(self, log: _Log, noted: Array, columns: dict[int, list[bytes]], *, certain: bool) -> Array:
        """The numbers of these rows as the reader tells them: those noted, unless the rows' files bear others."""
        if not log.named and not log.shift:
            return noted
        numbers, named = noted.tolist(), [(f"{log.layout[i].folder}/".encode(), columns[i]) for i in log.named]
        for place, number in enumerate(numbers):
            if (log.rows or place) and number + log.shift != log.following:
                log.shift = 0  # the bookkeeping says anew which number this row has
            number += log.shift
            if not all(_bears(cells[place], folder, number) for folder, cells in named):
                texts = [""] * len(log.layout)
                for i in log.named:
                    texts[i] = text_of(columns[i][place])
                number = self._claimed(log, texts, number, certain=certain)
            numbers[place], log.following = number, number + 1
        return np.array(numbers, np.int64)

    def _claimed(self, log: _Log, texts: list[str], number: int, *, certain: bool) -> int:
        for claim in log.layout.claims:
            if (found := claim.number(texts, number, str(self.directory), certain=certain)) != number:
                log.shift += found - number
                return found
        return number


def numbers_of(numbers: Numbers, log: str, start: int, stop: int) -> Array:
    """The numbers of the rows `start` to `stop` of a log. Between two rows that are as far apart as they are, they
    count on, since numbers only grow."""
    found = np.arange(start, stop, dtype=np.int64)
    todo = [(start, stop - 1)] if stop > start else []
    while todo:
        low, high = todo.pop()
        shift = numbers.of(log, low) - low
        if numbers.of(log, high) - high == shift:
            found[low - start : high - start + 1] += shift
        else:
            middle = (low + high) // 2
            todo += [(low, middle), (middle + 1, high)]
    return found


def _bears(cell: bytes, folder: bytes, number: int) -> bool:
    """Whether a cell names no file in this folder, or plainly the one that bears the number."""
    if folder not in cell:
        return True
    start = b"%b%d" % (folder, number)
    return cell.startswith(start) and cell[len(start) : len(start) + 1] in (b".", b"")


def milliseconds(cells: list[bytes]) -> Array:
    """When these timestamps are; `NEVER` for what is none."""
    if cells and all(len(cell) == 29 and cell.endswith(b"+00:00") for cell in cells):  # as we write them
        try:
            return np.array([cell[:23] for cell in cells]).astype("datetime64[ms]").astype(np.int64)
        except ValueError:
            pass
    return np.array([_milliseconds(cell) for cell in cells], np.int64)


def _milliseconds(cell: bytes) -> int:
    text = text_of(cell)
    try:
        moment = datetime.fromisoformat(f"{text[:-1]}+00:00" if text[-1:] in ("Z", "z") else text)
    except ValueError:
        return NEVER
    return int((moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)).timestamp() * 1000)
