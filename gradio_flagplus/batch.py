"""Group commit: threads that wait for each other are served together."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class _Seat(Generic[T]):
    """One caller's place in the queue. `turn` is let go when the work is done, or when the caller is to lead."""

    __slots__ = ("done", "item", "turn")

    def __init__(self, item: T) -> None:
        self.item, self.done = item, False
        self.turn = threading.Lock()
        self.turn.acquire()


class GroupCommit(Generic[T]):
    """Hands the items of all threads that wait to `commit`, a batch at a time, in the order they came.

    The first thread in leads: it commits everybody who is waiting, itself included. It hands the lead to the next in
    the queue before it wakes those it served, so that the next batch is under way while they return; the other way
    round costs half of the rate.
    """

    def __init__(self, commit: Callable[[list[T]], None]) -> None:
        self._commit = commit
        self._mutex = threading.Lock()
        self._queue: list[_Seat[T]] = []
        self._led = False

    def run(self, item: T) -> None:
        """Return when a call of `commit` with `item` in its batch has ended. `commit` keeps its errors in the items.

        What it raises all the same (an interrupt) is raised in the leading thread only.
        """
        seat = _Seat(item)
        with self._mutex:
            self._queue.append(seat)
            leads, self._led = not self._led, True
        if not leads:
            try:
                seat.turn.acquire()
            except BaseException:
                self._leave(seat)
                raise
        if not seat.done:
            self._lead()

    def _leave(self, seat: _Seat[T]) -> None:
        """Give up a place in the queue on an interrupt, and the lead if it was just handed over."""
        with self._mutex:
            if seat in self._queue:
                self._queue.remove(seat)
                if not seat.turn.locked():
                    self._hand_on()

    def _hand_on(self) -> None:
        if self._queue:
            self._queue[0].turn.release()
        else:
            self._led = False

    def _lead(self) -> None:
        with self._mutex:
            batch, self._queue = self._queue, []
        try:
            self._commit([seat.item for seat in batch])
        finally:
            with self._mutex:
                self._hand_on()
            for seat in batch:
                seat.done = True
                if seat.turn.locked():
                    seat.turn.release()
