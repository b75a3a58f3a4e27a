"""The flags of a directory as a reviewer goes through them: counted, filtered, newest first, a page at a time.

A look at the next page of a million flags reads the rows of that page and nothing else. Nothing here loads Gradio,
writes anything, or takes a lock on the directory.
"""

from __future__ import annotations

import re
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np

from . import record
from .columns import clean
from .decisions import Decision
from .index import NEVER, Array, Index, Snapshot
from .verdicts import Verdicts

__all__ = ["Catalogue", "Filter", "Snapshot"]

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


class Catalogue:
    """The flags of one directory and what was decided about them, for any number of threads.

    It looks at the directory only when it is asked to.
    """

    def __init__(self, directory: Path) -> None:
        self.directory, self.verdicts = directory, Verdicts(directory)
        self._index = Index(directory)
        self._lock = threading.Lock()
        self._answers: OrderedDict[Hashable, Array] = OrderedDict()

    def look(self) -> Snapshot:
        """The flags that are there now. A directory that does not exist has none.

        Raises `FlagplusError` or `OSError` if it cannot be read.
        """
        with self._lock:
            self.verdicts.look()
            return self._index.look()

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
            mask &= table["user"] == snapshot.users.get(wanted.username)
        if wanted.since is not None:
            mask &= table["when"] >= int(wanted.since.timestamp() * 1000)
        if wanted.until is not None:
            mask &= (table["when"] < int(wanted.until.timestamp() * 1000)) & (table["when"] != NEVER)
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
