"""What `.flagplus/` holds: the columns of each log, how far each log was whole, which numbers its rows have.

All of it can be rebuilt from the rest of the directory, so nothing here is trusted: a reader gets None, or nothing,
for a file that is gone, torn or nonsense, and goes by the logs alone.
"""

from __future__ import annotations

import bisect
import json
import os
import re
import zlib
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from .columns import BOOKS, RESERVED, Column
from .files import OPEN_FLAGS, read_at, sync, sync_folder, write_at

FORMAT = 1
TAIL = 4096
"""How many bytes before the committed end the state remembers the checksum of."""


class Books:
    """The paths of the bookkeeping in one folder.

    `lock` is held by whoever writes. `schema` has the columns of each log, as JSON. `state` says how far each log was
    whole: one line, rewritten in place. `numbers` says where the numbers of a log's rows do not simply go on: one
    line each, append-only. `staging` has files on their way in, `torn` what a crash left behind a last whole record.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.lock, self.schema, self.state = folder / "lock", folder / "schema.json", folder / "state"
        self.numbers, self.staging, self.torn = folder / "numbers", folder / "staging", folder / "torn"

    @classmethod
    def of(cls, directory: Path) -> Books:
        """The bookkeeping of the flags in `directory`."""
        return cls(directory / BOOKS)


class LogNames:
    """The names of the logs that begin with `log_name`: `logs.csv`, `logs-2.csv`, `logs-3.csv` …"""

    def __init__(self, log_name: str) -> None:
        stem, dot, suffix = log_name.rpartition(".")
        if (
            not stem
            or suffix.casefold() != "csv"
            or not re.fullmatch(r"[^<>:\"/\\|?*\x00-\x1f.][^<>:\"/\\|?*\x00-\x1f]*", stem)
        ):
            raise ValueError(f"log_name={log_name!r} is not a plain file name that ends in '.csv', like 'logs.csv'.")
        if stem.split(".")[0].casefold() in RESERVED:
            raise ValueError(f"log_name={log_name!r} is a name that Windows keeps for itself.")
        self.first, self._stem, self._suffix = log_name, stem, dot + suffix
        self._pattern = re.compile(rf"{re.escape(stem)}(?:-([1-9][0-9]{{0,8}}))?{re.escape(self._suffix)}")

    def place(self, name: str) -> int | None:
        """1 for the first log, N for `<stem>-N<suffix>`, None for a name that is none of these."""
        match = self._pattern.fullmatch(name)
        if match is None or match[1] == "1":
            return None
        return int(match[1] or 1)

    def name(self, place: int) -> str:
        """The name of the log at this place."""
        return self.first if place == 1 else f"{self._stem}-{place}{self._suffix}"


class LogNote(NamedTuple):
    """What was noted of one log: its committed bytes and rows, the number after its last row's, the tail's checksum."""

    size: int
    rows: int
    next: int
    tail: int


class State(NamedTuple):
    """What was noted at the last commit: the next free number of the directory, and each log."""

    next: int
    logs: Mapping[str, LogNote] = MappingProxyType({})

    def line(self) -> bytes:
        """The state as its file keeps it: JSON, a checksum, a line end."""
        notes = ", ".join(f"{json.dumps(k)}: [{n.size}, {n.rows}, {n.next}, {n.tail}]" for k, n in self.logs.items())
        text = f"[{FORMAT}, {self.next}, {{{notes}}}]"
        return f"{text} {zlib.crc32(text.encode()):08x}\n".encode()


def parse_state(raw: bytes) -> State | None:
    """The state in the first line of `raw`, or None where that line is torn or nonsense."""
    line = raw.partition(b"\n")[0]
    body, _, checksum = line.rpartition(b" ")
    try:
        if int(checksum, 16) != zlib.crc32(body):
            return None
        version, following, logs = json.loads(body)
        notes = {name: LogNote(*map(int, note)) for name, note in logs.items()}
    except (ValueError, TypeError, AttributeError):
        return None
    return State(int(following), notes) if version == FORMAT else None


class StateFile:
    """The file of the state, open between two flags. Only who holds the writers' lock may use it."""

    def __init__(self, path: Path) -> None:
        self._path, self._descriptor = str(path), -1

    def read(self) -> bytes:
        """The state's line without its end; empty where there is none."""
        if self._descriptor >= 0:
            found = os.fstat(self._descriptor)
            if found.st_nlink:
                return read_at(self._descriptor, found.st_size, 0).partition(b"\n")[0]
        self.close()
        self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | OPEN_FLAGS, 0o666)
        return read_at(self._descriptor, os.fstat(self._descriptor).st_size, 0).partition(b"\n")[0]

    def write(self, line: bytes) -> None:
        """Rewrite the line in place and without fsync: it is checked before it is believed. Call `read` first."""
        write_at(self._descriptor, line, 0)

    def close(self) -> None:
        """Close the file; `read` opens it again."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __del__(self) -> None:
        with suppress(OSError):
            self.close()


def read_state(books: Books) -> State | None:
    """The state on disk, or None where there is none that can be read."""
    try:
        return parse_state(books.state.read_bytes())
    except OSError:
        return None


def read_schema(books: Books) -> dict[str, tuple[Column, ...]]:
    """The columns of each log by the log's name, oldest first; empty where there is no schema that can be read."""
    try:
        data = json.loads(books.schema.read_bytes())
        if data["format"] != FORMAT:
            return {}
        return {name: tuple(map(Column.from_json, columns)) for name, columns in data["logs"].items()}
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return {}


def write_schema(books: Books, logs: Mapping[str, Sequence[Column]], *, fsync: bool) -> None:
    """Replace the schema in one step. Raises `OSError` and leaves the old one."""
    data = {"format": FORMAT, "logs": {name: [c.to_json() for c in columns] for name, columns in logs.items()}}
    draft = books.schema.with_name(f"schema-{os.getpid()}.json")
    try:
        with open(draft, "wb") as file:
            file.write(json.dumps(data, ensure_ascii=False, indent=1).encode())
            file.flush()
            if fsync:
                sync(file.fileno())
        os.replace(draft, books.schema)
    except OSError:
        draft.unlink(missing_ok=True)
        raise
    if fsync:
        sync_folder(books.folder)


class Numbers:
    """Which number each row of each log has.

    A log's rows count on from 0 until a line says otherwise: a flag that went elsewhere in between, a number that was
    given up. A later line about an earlier row takes the place of what was said from that row on.
    """

    def __init__(self, turns: Iterable[tuple[int, str, int]] = ()) -> None:
        self._rows: dict[str, list[int]] = {}
        self._numbers: dict[str, list[int]] = {}
        for number, log, row in turns:
            self.turn(number, log, row)

    def turn(self, number: int, log: str, row: int) -> None:
        """From `row` of `log` on, the rows count on from `number`."""
        rows, numbers = self._rows.setdefault(log, []), self._numbers.setdefault(log, [])
        while rows and rows[-1] >= row:
            rows.pop()
            numbers.pop()
        rows.append(row)
        numbers.append(number)

    def known(self) -> bool:
        """Whether there is any line at all."""
        return bool(self._rows)

    def highest(self) -> int:
        """The highest number that any line speaks of, or -1."""
        return max((number for numbers in self._numbers.values() for number in numbers), default=-1)

    def of(self, log: str, row: int) -> int:
        """The number of this row."""
        rows = self._rows.get(log, [])
        place = bisect.bisect_right(rows, row) - 1
        return row if place < 0 else self._numbers[log][place] + row - rows[place]


def read_numbers(books: Books) -> Numbers:
    """What the numbers file says; lines that make no sense are passed over."""
    try:
        lines = books.numbers.read_bytes().split(b"\n")
    except OSError:
        return Numbers()
    return Numbers(turn for line in lines if (turn := _turn(line)) is not None)


def _turn(line: bytes) -> tuple[int, str, int] | None:
    try:
        number, log, row = json.loads(line)
    except (ValueError, TypeError):
        return None
    if isinstance(number, int) and isinstance(log, str) and isinstance(row, int):
        return number, log, row
    return None


def note_turn(books: Books, number: int, log: str, row: int) -> None:
    """Add a line to the numbers file. The line end comes first, so that a torn line spoils nothing but itself."""
    with open(books.numbers, "ab", buffering=0) as file:
        file.write(f"\n{json.dumps([number, log, row])}\n".encode())
