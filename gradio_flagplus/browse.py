"""The flags of a directory as a reviewer goes through them: counted, filtered, newest first, a page at a time.

An index of the logs is kept in NumPy arrays and grows with them: a look at the next page of a million flags reads the
rows of that page and nothing else. Nothing here loads Gradio, writes anything, or takes a lock on the directory.
"""

from __future__ import annotations

import re
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np

from . import record
from .bookkeeping import Books, Numbers, read_numbers, read_schema, read_state
from .columns import clean
from .decisions import Decision
from .follow import Follower, Rewritten, Stretch, text_of
from .layout import Layout, layout_of
from .reader import Flag, header_of, is_noted, log_paths
from .verdicts import Verdicts

Array = np.ndarray[Any, np.dtype[Any]]
_ROW = np.dtype(
    [(name, "i8") for name in ("number", "row", "start", "end", "when")]
    + [(name, "i4") for name in ("reasons", "user", "log")]
)
_NEVER = np.iinfo(np.int64).min
_KEPT = 12  # how many answers are remembered


@dataclass(frozen=True, slots=True)
class Filter:
    """Which flags to show. What is empty lets everything through.

    `reasons`: any of these. `text`: somewhere in the row, in upper or lower case. `since` and `until`: at or after,
    before. `reviewed`: whether somebody decided anything; `decision`: what.
    """

    reasons: tuple[str, ...] = ()
    username: str = ""
    text: str = ""
    since: datetime | None = None
    until: datetime | None = None
    reviewed: bool | None = None
    decision: str = ""


class Codes:
    """Values that recur, each with a small number."""

    def __init__(self, empty: Any) -> None:
        self.values: list[Any] = [empty]
        self._codes: dict[Any, int] = {empty: 0}
        self._cells: dict[Hashable, int] = {}

    def of(self, value: Any) -> int:
        """The number of this value; a new one if it was never seen."""
        code = self._codes.setdefault(value, len(self.values))
        if code == len(self.values):
            self.values.append(value)
        return code

    def of_cells(self, cells: Hashable, value: Callable[[], Any]) -> int:
        """The number of the value that these cells stand for; `value` is asked once for each."""
        if (code := self._cells.get(cells)) is None:
            code = self._cells[cells] = self.of(value())
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
        self.wanted = [*self.reasons, *(i for i in (self.user, self.when) if i is not None), *self.named]


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
        known: Array = when[when != _NEVER].astype("datetime64[ms]")
        return known


class Catalogue:
    """The index of one directory, for any number of threads. It looks at the directory only when it is asked."""

    def __init__(self, directory: Path) -> None:
        self.directory, self.verdicts = directory, Verdicts(directory)
        self._lock = threading.Lock()
        self._answers: OrderedDict[Hashable, Array] = OrderedDict()
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
        with self._lock:
            self.verdicts.look()
            if not self.directory.exists():
                self._forget()
            else:
                try:
                    self._read_on()
                except (Rewritten, FileNotFoundError):
                    self._forget()
                    self._read_on()
            return Snapshot(
                self.directory, self._table, tuple(self._logs.values()), self._reasons, self._users, self._age
            )

    # ---- the index

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
        rows["log"], rows["when"] = list(self._logs).index(log.path.name), _NEVER
        noted = numbers_of(numbers, log.path.name, log.rows, log.rows + len(rows))
        body = Stretch(stretch.place, stretch.data, starts, ends)
        cells = list(body.cells(len(log.layout), log.wanted))
        self._describe(log, rows, cells)
        rows["number"] = self._numbers(log, noted, cells, certain=certain)
        log.rows += len(rows)
        return rows

    def _describe(self, log: _Log, rows: Array, cells: list[tuple[bytes, ...]]) -> None:
        """Fill in the reasons, the user and the time."""
        place = len(log.reasons)
        if place:
            of, said = self._reasons.of_cells, log.layout.reasons
            width = len(log.layout)

            def reasons(row: tuple[bytes, ...]) -> tuple[str, ...]:
                texts = [""] * width
                for column, cell in zip(log.reasons, row, strict=True):
                    texts[column] = text_of(cell)
                return said(texts)

            keys = [row[:place] for row in cells]
            rows["reasons"] = [of((log.path.name, key), lambda key=key: reasons(key)) for key in keys]  # type: ignore[misc]
        if log.user is not None:
            users = self._users.of_cells
            rows["user"] = [users(row[place], lambda cell=row[place]: text_of(cell)) for row in cells]  # type: ignore[misc]
            place += 1
        if log.when is not None:
            rows["when"] = [_milliseconds(row[place]) for row in cells]

    def _numbers(self, log: _Log, noted: Array, cells: list[tuple[bytes, ...]], *, certain: bool) -> Array:
        """The numbers of these rows as the reader tells them: those noted, unless the rows' files bear others."""
        if not log.named and not log.shift:
            return noted
        numbers, named = noted.tolist(), list(enumerate(log.named, len(log.wanted) - len(log.named)))
        prefixes = [(place, f"{log.layout[column].folder}/".encode()) for place, column in named]
        texts = [""] * len(log.layout)
        for i, row in enumerate(cells):
            if (log.rows or i) and numbers[i] + log.shift != log.following:
                log.shift = 0  # the bookkeeping says anew which number this row has
            number = numbers[i] = numbers[i] + log.shift
            log.following = number + 1
            digits = b"%d" % number
            if all(prefix not in row[place] or _bears(row[place], prefix, digits) for place, prefix in prefixes):
                continue
            for place, column in named:
                texts[column] = text_of(row[place])
            for claim in log.layout.claims:
                if (found := claim.number(texts, number, str(self.directory), certain=certain)) != number:
                    log.shift, numbers[i], log.following = log.shift + found - number, found, found + 1
                    break
        return np.array(numbers, np.int64)

    # ---- finding

    def find(self, snapshot: Snapshot, wanted: Filter) -> Array:
        """The places in the snapshot of the flags that `wanted` lets through, the oldest first."""
        key = (snapshot.age, len(snapshot), self.verdicts.version, wanted)
        return self._remembered(key, lambda: np.flatnonzero(self._mask(snapshot, wanted)))

    def _remembered(self, key: Hashable, answer: Callable[[], Array]) -> Array:
        with self._lock:
            found = self._answers.pop(key, None)
        if found is None:
            found = answer()
        with self._lock:
            self._answers[key] = found
            while len(self._answers) > _KEPT:
                self._answers.popitem(last=False)
        return found

    def _mask(self, snapshot: Snapshot, wanted: Filter) -> Array:
        table = snapshot.table
        mask = np.ones(len(table), bool)
        if wanted.reasons:
            given = [not set(wanted.reasons).isdisjoint(reasons) for reasons in snapshot.reasons.values]
            mask &= np.array(given)[table["reasons"]]
        if wanted.username:
            mask &= table["user"] == snapshot.users.of(wanted.username)
        if wanted.since is not None:
            mask &= table["when"] >= int(wanted.since.timestamp() * 1000)
        if wanted.until is not None:
            mask &= (table["when"] < int(wanted.until.timestamp() * 1000)) & (table["when"] != _NEVER)
        if wanted.reviewed is not None:
            mask &= self.verdicts.mask(table["number"]) == wanted.reviewed
        if wanted.decision:
            mask &= self.verdicts.mask(table["number"], wanted.decision)
        if wanted.text:
            mask &= self._text_mask(snapshot, wanted.text)
        return mask

    def _text_mask(self, snapshot: Snapshot, text: str) -> Array:
        """Which flags hold this text. What was found before is kept, and only what was added since is read."""
        key = ("text", snapshot.age, text)
        with self._lock:
            before = self._answers.pop(key, np.empty(0, bool))[: len(snapshot)]
        mask = np.concatenate([before, np.zeros(len(snapshot) - len(before), bool)])
        pattern = text_pattern(text)
        for place, log in enumerate(snapshot.logs):
            positions = np.flatnonzero(snapshot.table["log"][len(before) :] == place) + len(before)
            mask[positions[list(_matches(log.path, snapshot.table[positions], pattern))]] = True
        with self._lock:
            self._answers[key] = mask
        return mask

    def decision(self, number: int) -> Decision | None:
        """The decision that counts for the flag with this number."""
        return self.verdicts.latest.get(number)


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


def _bears(cell: bytes, prefix: bytes, digits: bytes) -> bool:
    """Whether a cell is a path that bears the number, plainly."""
    end = len(prefix) + len(digits)
    return cell.startswith(prefix) and cell.startswith(digits, len(prefix)) and cell[end : end + 1] in (b".", b"")


def _milliseconds(cell: bytes) -> int:
    text = cell.decode("utf-8", "replace").strip('"')
    try:
        moment = datetime.fromisoformat(f"{text[:-1]}+00:00" if text[-1:] in ("Z", "z") else text)
    except ValueError:
        return _NEVER
    return int((moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)).timestamp() * 1000)


def text_pattern(text: str) -> re.Pattern[bytes]:
    """What finds `text`, in upper or lower case, in the bytes of a log after `bytes.lower`.

    A quote is written twice there, and in JSON with a backslash before it.
    """
    pieces = []
    for letter in clean(text):
        forms = {form.encode().lower() for form in (letter, letter.lower(), letter.upper(), letter.casefold())}
        either = b"|".join(map(re.escape, sorted(forms)))
        pieces.append(rb'\\?""' if letter == '"' else either if len(forms) == 1 else b"(?:%s)" % either)
    return re.compile(b"".join(pieces))


def _matches(path: Path, rows: Array, pattern: re.Pattern[bytes]) -> Iterator[int]:
    """Which of these rows of one log, ascending and side by side, hold what the pattern finds."""
    starts = rows["start"]
    with open(path, "rb") as file:
        low = 0
        while low < len(rows):
            high = max(low + 1, int(np.searchsorted(starts, starts[low] + record.CHUNK)))
            file.seek(int(starts[low]))
            data = file.read(int(rows["end"][high - 1] - starts[low]))
            hits = np.array([match.start() for match in pattern.finditer(data.lower())], np.int64) + starts[low]
            yield from np.unique(np.searchsorted(starts[low:high], hits, "right") - 1 + low).tolist()
            low = high
