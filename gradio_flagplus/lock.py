"""One writer at a time, across the threads and processes of a machine."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import SoftFileLock, Timeout, lock_descriptor, unlock_descriptor

from .errors import LogBusy
from .files import OPEN_FLAGS, UNSUPPORTED, make_folder

_FIRST_POLL, _LONGEST_POLL = 0.0003, 0.005  # seconds between two looks at a lock that somebody else holds


class WriterLock:
    """The lock of one directory's writers, on a file that stays open between two flags.

    It must be held before the first look at the directory: processes that begin at the same moment meet here first.
    Not for two threads at a time; `GroupCommit` sees to that.
    """

    def __init__(self, path: Path, timeout: float, *, fsync: bool) -> None:
        self._path, self._timeout, self._fsync = path, timeout, fsync
        self._name = str(path)
        self._descriptor: int | None = None
        self._inode = 0
        self._soft: SoftFileLock | None = None

    @contextmanager
    def held(self) -> Iterator[bool]:
        """Hold the lock; gives whether its file is another than the last time, as after the directory was moved.

        Raises `LogBusy` if somebody else holds it for longer than the timeout.
        """
        before = self._inode
        try:
            self._take()
        except FileNotFoundError:
            make_folder(self._path.parent, fsync=self._fsync)
            self._take()
        try:
            yield self._inode != before
        finally:
            self._give_back()

    def _take(self) -> None:
        began, pause = time.monotonic(), _FIRST_POLL
        while not self._try():
            if time.monotonic() - began > self._timeout:
                raise LogBusy(self._path, self._timeout)
            time.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311  out of step with the others, not secret
            pause = min(pause * 1.5, _LONGEST_POLL)

    def _try(self) -> bool:
        if self._descriptor is None:
            self._descriptor = os.open(self._name, os.O_RDWR | os.O_CREAT | OPEN_FLAGS, 0o666)
            self._inode = os.fstat(self._descriptor).st_ino
        try:
            taken = lock_descriptor(self._descriptor, blocking=False)
        except OSError as error:
            if error.errno not in UNSUPPORTED:
                raise
            return self._take_soft()
        if taken and not self._guards():
            self.close()  # the folder was deleted or replaced while nobody looked: that lock guards nothing
            return False
        return taken

    def _guards(self) -> bool:
        try:
            return os.stat(self._name).st_ino == self._inode
        except FileNotFoundError:
            return False

    def _take_soft(self) -> bool:
        """Where the file system knows no locks, filelock's marker file serves; a crash leaves it until filelock
        finds its process gone."""
        soft = SoftFileLock(f"{self._name}.soft", timeout=self._timeout, thread_local=False)
        try:
            soft.acquire(poll_interval=_LONGEST_POLL)
        except Timeout as error:
            raise LogBusy(self._path, self._timeout) from error
        self._soft = soft
        return True

    def _give_back(self) -> None:
        if self._soft is not None:
            self._soft.release()
            self._soft = None
        elif self._descriptor is not None:
            unlock_descriptor(self._descriptor)

    def close(self) -> None:
        """Close the lock's file. A child of a fork does, because it would hold its parent's lock with it."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def __del__(self) -> None:
        with suppress(OSError):
            self.close()
