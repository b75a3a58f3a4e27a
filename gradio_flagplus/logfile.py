r"""One log file: its header, how far it is whole, adding to its end, cutting it back.

Everything here is done by who holds the writers' lock.
"""

from __future__ import annotations

import logging
import os
import time
import zlib
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from . import files, record
from .bookkeeping import TAIL, LogNote
from .columns import Column, components_of

logger = logging.getLogger("gradio_flagplus")


class LogFile:
    """What is known of one log, and what can be done with it.

    `size` is how many bytes of it are whole records (-1: not known, or no file yet), `rows` how many rows these are,
    `next` the number that follows its last row's (-1: not known), `header` what the file says, `columns` what these
    names mean (empty: not known).
    """

    def __init__(self, path: Path, columns: tuple[Column, ...] = (), note: LogNote | None = None) -> None:
        self.path, self.name = path, path.name
        self.columns = columns
        self.header: list[str] = []
        self.size, self.rows, self.next, self._checksum = -1, 0, -1, 0
        self._path = str(path)
        self._descriptor: int | None = None
        self._appends, self._identity = True, (0, 0)
        self._tail = b""
        if note is not None:
            self.take(note)

    @property
    def columns(self) -> tuple[Column, ...]:
        """What the header's names mean; empty where that is not known."""
        return self._columns

    @columns.setter
    def columns(self, columns: tuple[Column, ...]) -> None:
        self._columns, self._components = columns, components_of(columns)
        self._metas = {column for column in columns if column.role != "component"}

    def fits(self, components: tuple[Column, ...], needed: Iterable[Column]) -> bool:
        """Whether a row goes in here: the component columns are its own, every meta column it needs is there."""
        return bool(self._columns) and self._components == components and self._metas.issuperset(needed)

    def take(self, note: LogNote) -> None:
        """Take over what was noted of it."""
        self.size, self.rows, self.next, self._checksum = note.size, note.rows, note.next, note.tail

    def note(self) -> LogNote:
        """What is to be noted of it."""
        return LogNote(self.size, self.rows, self.next, self._checksum)

    # ---- opening

    def close(self) -> None:
        """Close the file; what is known of it stays."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def __del__(self) -> None:
        with suppress(OSError):
            self.close()

    def open(self, flags: int = 0) -> int:
        """Open the file of this name, whichever that is now, and read its header. Returns its size."""
        self.close()
        self._appends = True
        try:
            self._descriptor = os.open(self._path, os.O_RDWR | os.O_APPEND | files.OPEN_FLAGS | flags, 0o666)
        except OSError as error:
            if error.errno not in files.UNSUPPORTED:
                raise
            # Some mounts know no append; every write goes to the end all the same, and the lock is held.
            self._appends = False
            self._descriptor = os.open(self._path, os.O_RDWR | files.OPEN_FLAGS | flags, 0o666)
        found = os.fstat(self._descriptor)
        self._identity = (found.st_dev, found.st_ino)
        self.header = self._read_header()
        if [column.name for column in self.columns] != self.header:
            self.columns = ()  # not the columns we once noted: somebody edited the header
        return found.st_size

    @property
    def _file(self) -> int:
        assert self._descriptor is not None
        return self._descriptor

    def _read_header(self) -> list[str]:
        with open(self._file, "rb", closefd=False) as file:
            for found in record.lines(file, chunk=1 << 14):
                return record.decode(found[0].removeprefix(record.BOM))
        return []

    # ---- looking

    def look(self) -> tuple[int, bool]:
        """The file's size now, and whether it begins with what was noted. Raises `FileNotFoundError` if it is gone."""
        found = os.stat(self._path)
        if self._descriptor is None or (found.st_dev, found.st_ino) != self._identity:
            self.open()
        return found.st_size, 0 <= self.size <= found.st_size and self._has_tail()

    def _has_tail(self) -> bool:
        self._tail = self._read(max(0, self.size - TAIL), self.size)
        return zlib.crc32(self._tail) == self._checksum

    def _read(self, start: int, stop: int) -> bytes:
        return files.read_at(self._file, stop - start, start)

    def repair(self, size: int, torn: Path, *, intact: bool, fsync: bool) -> None:
        """Find the last whole record, set aside what follows it, count what was not noted.

        `intact` says that the log is as it was noted, with something behind it: what a crash leaves. Otherwise
        somebody else wrote it, and it is read from the start.
        """
        if not intact:
            size = self.open()
        with open(self._file, "rb", closefd=False) as file:
            found = record.scan(file, self.size if intact else 0, size)
        rows = self.rows + found.records if intact else max(0, found.records - 1)
        end = found.end
        if end < size:
            if not intact and self._is_whole(end, size):
                self._write_all(record.LINE_END)
                rows, end = rows + 1, size + len(record.LINE_END)
            else:
                self._set_aside(end, size, torn, fsync=fsync)
            if fsync:
                files.sync(self._file)
        self.rows = rows
        self._ends_at(end, self._read(max(0, end - TAIL), end))

    def _is_whole(self, start: int, size: int) -> bool:
        r"""Whether what follows the last line end is a row that an editor left without one.

        It is taken for one only if the line end before it is a bare `\n`, which we never write, and it has a cell for
        every column. Anything else could be half a row.
        """
        before = self._read(max(0, start - 2), start)
        last = self._read(start, size)
        if not before.endswith(b"\n") or before == record.LINE_END or last.count(b'"') % 2:
            return False
        return len(record.decode(last)) == len(self.header)

    def _set_aside(self, start: int, size: int, torn: Path, *, fsync: bool) -> None:
        """Move what follows the last whole record to `torn`; it is there for good before it is gone here."""
        files.make_folder(torn, fsync=fsync)
        target = torn / f"{self.name}-{start}-{time.time_ns()}"
        with open(self._file, "rb", closefd=False) as source, open(target, "xb") as copy:
            source.seek(start)
            while data := source.read(1 << 20):
                copy.write(data)
            copy.flush()
            if fsync:
                files.sync(copy.fileno())
        if fsync:
            files.sync_folder(torn)
        os.ftruncate(self._file, start)
        logger.warning(
            "'%s' ended in %d bytes that are no whole record. They are kept in '%s'.", self.path, size - start, target
        )

    # ---- writing

    def plan(self, columns: tuple[Column, ...]) -> None:
        """Give an empty log, or one to be begun, these columns; from here on no other row may claim it."""
        self.columns, self.header = columns, [column.name for column in columns]

    def begin(self) -> None:
        """Make the file, unless it is there and empty. Raises `FileExistsError` if somebody put one there just now."""
        if self._descriptor is None:
            columns = self.columns
            self.open(os.O_CREAT | os.O_EXCL)
            self.plan(columns)

    def write(self, data: bytes, *, fsync: bool) -> None:
        """Add whole records to the end, durably if `fsync`. When it raises, any part of them may be there."""
        self._write_all(data)
        if fsync:
            files.sync(self._file)

    def _write_all(self, data: bytes) -> None:
        if not self._appends:
            os.lseek(self._file, 0, os.SEEK_END)
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(self._file, rest) :]

    def cut_back(self, *, fsync: bool) -> None:
        """Make the file what it was before `write`, or before `begin`. Raises `OSError` if the disk refuses."""
        if self._descriptor is None:
            return
        if os.fstat(self._file).st_size > max(self.size, 0):
            os.ftruncate(self._file, max(self.size, 0))
            if fsync:
                files.sync(self._file)
        if self.size < 0:
            self.close()
            os.unlink(self._path)

    def grew(self, data: bytes, rows: int, following: int) -> None:
        """Take note that `data`, `rows` rows, is now part of it."""
        self._ends_at(max(self.size, 0) + len(data), (self._tail + data)[-TAIL:])
        self.rows, self.next = self.rows + rows, following

    def _ends_at(self, size: int, tail: bytes) -> None:
        self.size, self._tail, self._checksum = size, tail, zlib.crc32(tail)
