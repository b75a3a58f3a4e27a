"""The decisions that count, kept up to date while reviewers add to them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .bookkeeping import read_schema
from .decisions import REVIEWS, Decision, review_books
from .follow import Follower, Rewritten, text_of
from .layout import Layout, layout_of
from .reader import Flag, header_of, log_paths

Array = np.ndarray[Any, np.dtype[Any]]


class Verdicts:
    """The latest decision about each flag of one directory. One thread at a time may `look`.

    A decision with an empty name takes the one before it back.
    """

    def __init__(self, directory: Path) -> None:
        self.directory, self.version = directory, 0
        self._forget()

    def _forget(self) -> None:
        self.latest: dict[int, Decision] = {}
        self._logs: dict[str, tuple[Follower, Layout]] = {}
        self.version += 1

    def look(self) -> None:
        """Take over what was decided since. A directory without reviews has none. Raises `OSError`."""
        if not self.directory.exists():
            self._forget()
            return
        try:
            self._read_on()
        except (Rewritten, FileNotFoundError):
            self._forget()
            self._read_on()

    def _read_on(self) -> None:
        books = review_books(self.directory)
        paths = log_paths(self.directory, REVIEWS, books)
        if [path.name for path in paths][: len(self._logs)] != list(self._logs):
            raise Rewritten(self.directory)
        for path in paths:
            if path.name not in self._logs:
                with open(path, "rb") as file:
                    header = header_of(file)
                if header is None:
                    continue
                layout = layout_of(header, read_schema(books).get(path.name, ()))
                self._logs[path.name] = Follower(path), layout
            follower, layout = self._logs[path.name]
            if follower.has_news():
                self._take(follower, layout)

    def _take(self, follower: Follower, layout: Layout) -> None:
        everything = range(len(layout))
        for stretch in follower.news():
            columns = stretch.columns(len(layout), everything)
            for place, cells in enumerate(zip(*columns, strict=True)):
                if place or stretch.place:
                    self._take_row(layout, [text_of(cell) for cell in cells])
            self.version += 1

    def _take_row(self, layout: Layout, texts: Sequence[str]) -> None:
        row = Flag(self.directory, 0, REVIEWS, 0, layout, texts)
        try:
            number = int(row.values["number"])
        except (KeyError, TypeError, ValueError):
            return
        text, note = row.values.get("decision"), row.values.get("note")
        if text:
            self.latest[number] = Decision(number, str(text), str(note or ""), row.username, row.timestamp)
        else:
            self.latest.pop(number, None)

    def mask(self, numbers: Array, decision: str | None = None) -> Array:
        """Which of these flags, by number, have this decision, or any at all."""
        decided = [n for n, made in list(self.latest.items()) if decision is None or made.decision == decision]
        return np.isin(numbers, np.array(decided, np.int64))
