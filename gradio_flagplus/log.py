r"""CsvLog: the place where flags are kept, whole and for good. This docstring is the contract.

**When `append` returns**, the record and every file it names are on disk: they survive the death of the process and,
with `fsync=True`, a power loss on a disk that keeps its word. The order that makes it so: staged files are fsynced;
they get their names, and the folders of those names are fsynced; the record is written and the log fsynced (a new
log's folder, too). So a record never names a file that is not durable.

**When it raises**, readers see the log as it was: what had been written is cut off again and the files are taken
back. There is one exception, and the error says so (`LogNotWritable.certain` is false): if the disk refuses to undo,
too, the record may nevertheless be there, and then its files stay.

**After a crash**, the next `append` of any process sets aside in `.flagplus/torn/` what follows the last whole record,
counts the whole records that were not noted yet, and goes on. A log that somebody edited, cut or replaced is scanned
anew. Nothing is overwritten and no number is given twice.

**Together.** Any number of threads and of processes on one machine may append to one directory, from the first flag
on. Threads that wait for each other are committed in one batch: one write, one fsync. Who waits for another process
longer than `lock_timeout` gets `LogBusy`. After a fork the child begins afresh.

**Flat.** An append costs the same whatever the log's length, in time and in memory. A log without bookkeeping is
scanned once, at memory speed.

**Not promised.** Several machines on one directory: file locks of network file systems differ too much. A disk, or a
virtual one, that says fsync and does not (macOS drives among them, without a call that Python does not make). Other
programs that write into the log while a flag is being written: they know nothing of the lock. `.flagplus/lock` must
not be deleted while an app runs. Where a file system has no hard links a rename takes their place; where it has no
fsync for folders (Windows) or none at all, that step is left out; where it has no lock, filelock's marker files serve.
"""

from __future__ import annotations

import errno
import logging
import os
import random
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from filelock import SoftFileLock, Timeout, lock_descriptor, unlock_descriptor

from . import bookkeeping, files, record
from .bookkeeping import Books, LogNames, LogNote, State
from .cells import Cell, FileCell
from .columns import Column, components_of, fits, meta_order, name_columns, recognise
from .errors import FlagplusError, LogBusy, LogNotWritable

logger = logging.getLogger("gradio_flagplus")

_FLAGS = getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
_FIRST_POLL, _LONGEST_POLL = 0.0003, 0.005  # seconds between two looks at a lock that another process holds


@dataclass(frozen=True, slots=True)
class Entry:
    """One flag on its way in: a cell for each component column, and the meta columns that it needs."""

    components: tuple[Column, ...]
    cells: Sequence[Cell]
    meta: Mapping[Column, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Receipt:
    """Where a flag went: its number, the flags in the directory now, and what stands in which log and row."""

    number: int
    total: int
    log: str
    row: int
    columns: tuple[Column, ...]
    texts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Row:
    """A flag that has its number: its record's bytes, and the text of its cells."""

    ticket: _Ticket
    number: int
    row: int
    data: bytes
    texts: tuple[str, ...]


class _Ticket:
    """One caller's place in the queue: what to write, and what became of it."""

    __slots__ = ("done", "entry", "error", "fields", "made", "meta", "names_files", "published", "receipt", "turn")

    def __init__(self, entry: Entry) -> None:
        self.entry = entry
        # Encoded before any lock is taken; cells that name files wait for their number.
        self.fields = [b"" if isinstance(cell, FileCell) else record.field(cell) for cell in entry.cells]
        self.meta = {column: record.field(text) for column, text in entry.meta.items()}
        self.names_files = any(isinstance(cell, FileCell) for cell in entry.cells)
        self.published: list[tuple[Path, Path]] = []
        self.made: list[Path] = []
        self.receipt: Receipt | None = None
        self.error: BaseException | None = None
        self.done = False
        self.turn = threading.Lock()
        self.turn.acquire()

    def files(self) -> Iterator[tuple[Column, FileCell]]:
        for column, cell in zip(self.entry.components, self.entry.cells, strict=True):
            if isinstance(cell, FileCell):
                yield column, cell

    def row(self, log: _Log, number: int, row: int) -> _Row:
        """This flag's record in `log`, under its number."""
        fields, texts = list(self.fields), []
        for place, (column, cell) in enumerate(zip(self.entry.components, self.entry.cells, strict=True)):
            text = cell.text(column.folder, number) if isinstance(cell, FileCell) else cell
            if isinstance(cell, FileCell):
                fields[place] = record.field(text)
            texts.append(text)
        for column in log.columns[len(fields) :]:
            fields.append(self.meta.get(column, b""))
            texts.append(self.entry.meta.get(column, ""))
        return _Row(self, number, row, record.record(fields), tuple(texts))

    def withdraw(self) -> None:
        """Take the files back. What cannot be taken back is an orphan, which `check` finds."""
        for staged, target in self.published:
            with suppress(OSError):
                files.withdraw(staged, target)
        files.remove_empty(reversed(self.made))
        self.published, self.made = [], []


class _Descriptors:
    """Open files, closed when their owner is gone."""

    def __init__(self) -> None:
        self._open: set[int] = set()

    def open(self, path: Path, flags: int) -> int:
        descriptor = os.open(path, flags | _FLAGS, 0o666)
        self._open.add(descriptor)
        return descriptor

    def close(self, descriptor: int | None) -> None:
        if descriptor in self._open:
            self._open.discard(descriptor)
            os.close(descriptor)

    def __del__(self) -> None:
        for descriptor in self._open:
            with suppress(OSError):
                os.close(descriptor)


class _Log:
    """What is known of one log of the directory while the lock is held."""

    __slots__ = ("columns", "descriptor", "header", "inode", "name", "next", "path", "rows", "size", "tail")

    def __init__(self, path: Path, columns: tuple[Column, ...]) -> None:
        self.path, self.name, self.columns = path, path.name, columns
        self.header: list[str] = []
        self.size, self.rows, self.next, self.tail = -1, 0, -1, 0  # nothing is known of it
        self.descriptor: int | None = None
        self.inode = (0, 0)

    def take(self, note: LogNote) -> None:
        self.size, self.rows, self.next, self.tail = note.size, note.rows, note.next, note.tail

    def note(self) -> LogNote:
        return LogNote(self.size, self.rows, self.next, self.tail)


class CsvLog:
    """The flags of one directory as CSV logs. See the module's docstring for what holds when.

    `directory` is made at the first append. `log_name` names the first log; rows with other columns begin
    `<stem>-2.csv` and so on. `books` is the folder of the bookkeeping, for a second kind of log in one directory.
    """

    def __init__(
        self,
        directory: str | os.PathLike[str],
        *,
        log_name: str = "logs.csv",
        fsync: bool = True,
        lock_timeout: float = 30.0,
        books: Books | None = None,
    ) -> None:
        # Absolute from the start: a later chdir must not move the log.
        self.directory = Path(os.path.abspath(directory))
        self._names, self._fsync, self._lock_timeout = LogNames(log_name), fsync, lock_timeout
        self._books = books or Books.of(self.directory)
        self._forget()

    def _forget(self) -> None:
        """As new: nothing queued, nothing open, nothing known."""
        self._process = os.getpid()
        self._mutex = threading.Lock()
        self._queue: list[_Ticket] = []
        self._led = False
        self._open = _Descriptors()
        self._lock_file: int | None = None
        self._state_file: int | None = None
        self._state_raw = b""
        self._schema: dict[str, tuple[Column, ...]] = {}
        self._schema_seen: tuple[int, ...] | None = None
        self._logs: dict[str, _Log] = {}
        self._next = 0
        self._synced = False

    def staging(self) -> files.Staging:
        """A place for the files of one flag, to be used in a `with` around `append`."""
        return files.Staging(self._books.staging, fsync=self._fsync)

    def append(self, entry: Entry) -> Receipt:
        """Keep one flag. See the module's docstring for what holds when it returns and when it raises.

        Raises `LogBusy` or `LogNotWritable`.
        """
        if self._process != os.getpid():
            self._forget()  # a forked child shares its parent's open lock, and would hold it with it
        ticket = _Ticket(entry)
        with self._mutex:
            self._queue.append(ticket)
            leads, self._led = not self._led, True
        if not leads:
            ticket.turn.acquire()
        if not ticket.done:
            self._lead()
        if ticket.error is not None:
            raise ticket.error
        assert ticket.receipt is not None
        return ticket.receipt

    # The first thread in commits everybody who is waiting. It hands the lead on before it wakes the others, so that
    # the next batch is under way while they return.
    def _lead(self) -> None:
        with self._mutex:
            batch, self._queue = self._queue, []
        try:
            self._commit(batch)
        except Exception as error:
            for ticket in batch:
                if ticket.receipt is None and ticket.error is None:
                    ticket.error = self._explained(error)
        finally:
            for ticket in batch:
                ticket.done = True
                if ticket.receipt is None and ticket.error is None:
                    interrupted = OSError(errno.EINTR, "the thread that was writing was interrupted")
                    ticket.error = LogNotWritable(self.directory, interrupted)
            with self._mutex:
                if self._queue:
                    self._queue[0].turn.release()
                else:
                    self._led = False
            for ticket in batch:
                if ticket.turn.locked():
                    ticket.turn.release()

    def _explained(self, error: Exception) -> Exception:
        """An error of its own for each caller, since each raises it with a traceback of its own."""
        if isinstance(error, LogNotWritable):
            explained: Exception = LogNotWritable(error.path, OSError(error.errno, error.strerror), certain=error.certain)
        elif isinstance(error, OSError) and not isinstance(error, FlagplusError):
            explained = LogNotWritable(error.filename or self.directory, error)
        elif isinstance(error, LogBusy):
            explained = LogBusy(error.path, error.waited)
        else:
            return error
        explained.__cause__ = error
        return explained

    def _commit(self, batch: list[_Ticket]) -> None:
        with self._locked():
            trusted = False
            try:
                self._look()
                groups = self._sort(batch)
                failed = [self._try_write(log, group) for log, group in groups.items()]
                trusted = not any(failed)
            finally:
                if not trusted:
                    self._mistrust()
                if os.name == "nt":  # an open log could not be opened by a spreadsheet, nor replaced
                    self._close_logs()

    def _try_write(self, log: _Log, group: list[_Ticket]) -> bool:
        """Write one log's flags; if that fails, it fails for them and for no others. Returns whether it failed."""
        try:
            self._write(log, group)
        except OSError as error:
            for ticket in group:
                ticket.error = self._explained(error)
            return True
        return False

    # ---- the lock

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the writers' lock, for who mends the directory. What was known of the logs is looked up anew after."""
        with self._locked():
            yield
            self._mistrust()

    @contextmanager
    def _locked(self) -> Iterator[None]:
        try:
            soft = self._take_lock()
        except FileNotFoundError:
            self._make_books()
            soft = self._take_lock()
        try:
            yield
        finally:
            if soft is not None:
                soft.release()
            elif self._lock_file is not None:
                unlock_descriptor(self._lock_file)

    def _make_books(self) -> None:
        files.make_folder(self._books.folder, fsync=self._fsync)

    def _take_lock(self) -> SoftFileLock | None:
        began, pause = time.monotonic(), _FIRST_POLL
        while True:
            try:
                if self._lock_file is None:
                    self._lock_file = self._open.open(self._books.lock, os.O_RDWR | os.O_CREAT)
                taken = lock_descriptor(self._lock_file, blocking=False)
            except OSError as error:
                if error.errno in files.UNSUPPORTED:
                    return self._take_soft_lock()
                raise
            if taken and self._still_named(self._lock_file, self._books.lock):
                return None
            if taken:  # the folder was deleted or replaced while we were not looking: that lock guards nothing
                self._open.close(self._lock_file)
                self._lock_file = None
                continue
            if time.monotonic() - began > self._lock_timeout:
                raise LogBusy(self._books.lock, self._lock_timeout)
            time.sleep(pause * random.uniform(0.5, 1.5))
            pause = min(pause * 1.5, _LONGEST_POLL)

    def _take_soft_lock(self) -> SoftFileLock:
        lock = SoftFileLock(self._books.lock.with_name("lock.soft"), timeout=self._lock_timeout, thread_local=False)
        try:
            lock.acquire(poll_interval=_LONGEST_POLL)
        except Timeout as error:
            raise LogBusy(self._books.lock, self._lock_timeout) from error
        return lock

    @staticmethod
    def _still_named(descriptor: int, path: Path) -> bool:
        try:
            return os.path.samestat(os.fstat(descriptor), os.stat(path))
        except FileNotFoundError:
            return False

    # ---- looking: what is there, and is it what was noted?

    def _mistrust(self) -> None:
        """Look everything up again at the next flag."""
        self._close_logs()
        self._logs, self._state_raw = {}, b""

    def _look(self) -> None:
        raw, seen = self._read_state(), self._schema_signature()
        if not self._logs or not raw or seen != self._schema_seen or not self._take_note(raw):
            self._load(raw)
            self._schema_seen = seen
        for log in list(self._logs.values()):
            self._check(log)

    def _take_note(self, raw: bytes) -> bool:
        """Take over what another process noted since; False if it speaks of logs that we have not looked at."""
        if raw == self._state_raw:
            return True
        state = bookkeeping.parse_state(raw)
        if state is None or state.logs.keys() != self._logs.keys():
            return False
        for name, note in state.logs.items():
            self._logs[name].take(note)
        self._next, self._state_raw = state.next, raw
        return True

    def _read_state(self) -> bytes:
        path = self._books.state
        if self._state_file is not None and not self._still_named(self._state_file, path):
            self._open.close(self._state_file)
            self._state_file = None
        if self._state_file is None:
            self._state_file = self._open.open(path, os.O_RDWR | os.O_CREAT)
        os.lseek(self._state_file, 0, os.SEEK_SET)
        raw, more = b"", b"-"
        while more and b"\n" not in raw:
            more = os.read(self._state_file, 1 << 16)
            raw += more
        return raw.partition(b"\n")[0]

    def _schema_signature(self) -> tuple[int, ...] | None:
        try:
            found = os.stat(self._books.schema)
        except FileNotFoundError:
            return None
        return found.st_ino, found.st_size, found.st_mtime_ns

    def _load(self, raw: bytes) -> None:
        """Make `_logs` what the directory and the bookkeeping say."""
        if not self._synced and self._fsync:
            # Whoever made these folders may have died before it had synced their names.
            for folder in (self.directory.parent, self.directory):
                files.sync_folder(folder)
            self._synced = True
        state = bookkeeping.parse_state(raw) or State(0)
        self._schema = bookkeeping.read_schema(self._books)
        self._close_logs()
        self._logs = {}
        for name in self._log_files():
            log = self._logs[name] = _Log(self.directory / name, self._schema.get(name, ()))
            if name in state.logs:
                log.take(state.logs[name])
            self._open_log(log)
        self._next = max([state.next, *(log.next for log in self._logs.values())])
        self._state_raw = raw

    def _log_files(self) -> list[str]:
        """The logs that are there, oldest first: those of our name, and those of another that the schema knows."""
        with os.scandir(self.directory) as entries:
            there = [e.name for e in entries if (self._names.place(e.name) or e.name in self._schema) and e.is_file()]
        return sorted(there, key=lambda name: (self._names.place(name) or 0, name))

    def _close_logs(self) -> None:
        for log in self._logs.values():
            self._open.close(log.descriptor)
            log.descriptor = None

    def _open_log(self, log: _Log) -> None:
        """Open the log of this name, whichever file that is now, and read its header."""
        self._open.close(log.descriptor)
        log.descriptor = self._open_append(log.path)
        found = os.fstat(log.descriptor)
        log.inode = (found.st_dev, found.st_ino)
        log.header = self._header(log)
        if [column.name for column in log.columns] != log.header:
            log.columns = ()  # not the columns we once noted: somebody edited the header

    def _open_append(self, path: Path, flags: int = 0) -> int:
        try:
            return self._open.open(path, os.O_RDWR | os.O_APPEND | flags)
        except OSError as error:
            if error.errno not in files.UNSUPPORTED:
                raise
            # Some mounts know no append; every write goes to the end all the same, and the lock is held.
            return self._open.open(path, os.O_RDWR | flags)

    @staticmethod
    def _header(log: _Log) -> list[str]:
        assert log.descriptor is not None
        with open(log.descriptor, "rb", closefd=False) as file:
            for found in record.lines(file, chunk=1 << 14):
                return record.decode(found[0].removeprefix(record.BOM))
        return []

    def _check(self, log: _Log) -> None:
        """Make the log whole and what is known of it true, before anything is added to it."""
        try:
            found = os.stat(log.path)
        except FileNotFoundError:
            self._open.close(log.descriptor)
            del self._logs[log.name]
            return
        if log.descriptor is None or (found.st_dev, found.st_ino) != log.inode:
            self._open_log(log)
        assert log.descriptor is not None
        intact = 0 <= log.size <= found.st_size and bookkeeping.tail_checksum(log.descriptor, log.size) == log.tail
        if not intact or found.st_size > log.size:
            self._repair(log, found.st_size, intact=intact)

    def _repair(self, log: _Log, size: int, *, intact: bool) -> None:
        """Find the last whole record, set aside what follows it, count what was not noted.

        `intact` says that the log is as it was noted, with something behind it: what a crash leaves. Otherwise
        somebody else wrote it, and it is read from the start.
        """
        assert log.descriptor is not None
        if not intact:
            self._open_log(log)
            assert log.descriptor is not None
        with open(log.descriptor, "rb", closefd=False) as file:
            scan = record.scan(file, log.size if intact else 0, size)
        rows = log.rows + scan.records if intact else max(0, scan.records - 1)
        end = scan.end
        if end < size:
            if not intact and self._is_whole(log, end, size):
                os.write(log.descriptor, record.LINE_END)
                rows, end = rows + 1, size + len(record.LINE_END)
            else:
                self._set_aside(log, end, size)
            if self._fsync:
                files.sync(log.descriptor)
        if intact:
            numbers = bookkeeping.read_numbers(self._books)
            following = numbers.of(log.name, rows) if numbers.known() else log.next + rows - log.rows
        else:
            following = -1
        log.size, log.rows, log.next = end, rows, following
        log.tail = bookkeeping.tail_checksum(log.descriptor, end)
        total = sum(other.rows for other in self._logs.values())
        self._next = max(self._next, following, total, files.highest_number(self.directory) + 1)
        self._note()

    def _is_whole(self, log: _Log, start: int, size: int) -> bool:
        r"""Whether what follows the last line end is a row that an editor left without one.

        It is taken for one only if the line end before it is a bare `\n`, which we never write, and it has a cell for
        every column. Anything else could be half a row.
        """
        assert log.descriptor is not None
        with open(log.descriptor, "rb", closefd=False) as file:
            file.seek(max(0, start - 2))
            before = file.read(min(start, 2))
            last = file.read(size - start)
        if not before.endswith(b"\n") or before == record.LINE_END or last.count(b'"') % 2:
            return False
        return len(record.decode(last)) == len(log.header)

    def _set_aside(self, log: _Log, start: int, size: int) -> None:
        """Move what follows the last whole record to `torn/`; it is there for good before it is gone here."""
        assert log.descriptor is not None
        files.make_folder(self._books.torn, fsync=self._fsync)
        target = self._books.torn / f"{log.name}-{start}-{time.time_ns()}"
        with open(log.descriptor, "rb", closefd=False) as source, open(target, "xb") as copy:
            source.seek(start)
            while data := source.read(1 << 20):
                copy.write(data)
            copy.flush()
            if self._fsync:
                files.sync(copy.fileno())
        if self._fsync:
            files.sync_folder(self._books.torn)
        os.ftruncate(log.descriptor, start)
        logger.warning("'%s' ended in %d bytes that are no whole record; they are kept in '%s'.", log.path, size - start, target)

    # ---- choosing: which log does a flag go to?

    def _sort(self, batch: list[_Ticket]) -> dict[_Log, list[_Ticket]]:
        groups: dict[_Log, list[_Ticket]] = {}
        for ticket in batch:
            groups.setdefault(self._target(ticket.entry.components, ticket.meta), []).append(ticket)
        return groups

    def _target(self, components: tuple[Column, ...], needed: Mapping[Column, bytes]) -> _Log:
        ours = [log for log in self._logs.values() if self._names.place(log.name)]
        for log in ours:
            if not log.columns and log.header:  # the bookkeeping is gone, or the header was edited
                log.columns = recognise(log.header, components, needed) or ()
        for log in reversed(ours):
            if log.columns and fits(log.columns, components, needed):
                return log
            if not log.header and log.size <= 0:
                log.columns = self._new_columns(ours, components, needed)
                return log
        place = max((self._names.place(log.name) or 0 for log in ours), default=0) + 1
        log = _Log(self.directory / self._names.name(place), self._new_columns(ours, components, needed))
        log.next = -1 if self._books.numbers.exists() else 0
        self._logs[log.name] = log
        return log

    @staticmethod
    def _new_columns(ours: list[_Log], components: tuple[Column, ...], needed: Mapping[Column, bytes]) -> tuple[Column, ...]:
        """The columns of a log to be begun: what the row needs, and what was in use with these components before.

        Without the latter, flags with and without a comment would begin one log after another.
        """
        before = next((log.columns for log in reversed(ours) if log.columns and components_of(log.columns) == components), ())
        metas = {column.name: column for column in (*before, *needed) if column.role != "component"}
        order = meta_order([*needed, *(column for column in metas.values() if column not in needed)])
        return (*components, *order)

    # ---- writing

    def _write(self, log: _Log, group: list[_Ticket]) -> None:
        """Commit a group of flags to one log: all of those whose files could be published, or none."""
        following, start, new = self._next, max(log.size, 0), log.size <= 0
        try:
            rows = self._publish_all(log, group)
            if not rows:
                return
            self._note_columns(log)
            self._note_turns(log, rows)
            data = b"".join(row.data for row in rows)
            if new:
                self._begin(log)
                data = record.encode(column.name for column in log.columns) + data
            self._write_all(log, data)
            if self._fsync and new:
                files.sync_folder(self.directory)
        except BaseException as error:
            certain = self._undo(log, start, group)
            self._next = following
            if isinstance(error, OSError) and not certain:
                raise LogNotWritable(log.path, error, certain=False) from error
            raise
        self._committed(log, start + len(data), rows)

    def _publish_all(self, log: _Log, group: list[_Ticket]) -> list[_Row]:
        """Give the files of every flag their names, durably. A flag whose files cannot be published fails alone."""
        number = self._next
        if any(ticket.names_files for ticket in group):
            # Noted before any file bears them: a number that a crash leaves on a file is not given again.
            self._next += len(group)
            self._note()
        rows: list[_Row] = []
        for ticket in group:
            try:
                number = self._publish(ticket, number)
            except OSError as error:
                ticket.error = self._explained(error)
                continue
            rows.append(ticket.row(log, number, log.rows + len(rows)))
            number += 1
        if self._fsync:
            for folder in {target.parent for ticket in group for _, target in ticket.published}:
                files.sync_folder(folder)
        return rows

    def _publish(self, ticket: _Ticket, number: int) -> int:
        """Publish the files of one flag under `number`, or under the next one that no file bears."""
        while ticket.names_files:
            try:
                for column, cell in ticket.files():
                    ticket.made += files.make_folder(self.directory / column.folder, fsync=self._fsync)
                    for file, path in zip(cell.files, cell.paths(column.folder, number), strict=True):
                        files.publish(file.path, self.directory / path)
                        ticket.published.append((file.path, self.directory / path))
                break
            except FileExistsError:
                ticket.withdraw()
                number = max(number, files.highest_number(self.directory)) + 1
            except BaseException:
                ticket.withdraw()
                raise
        return number

    def _note_columns(self, log: _Log) -> None:
        """Note the kinds of a log's columns before its first row: the header alone does not tell them."""
        if self._schema.get(log.name) == log.columns:
            return
        schema = {other.name: other.columns for other in self._logs.values() if other.columns}
        bookkeeping.write_schema(self._books, schema, fsync=self._fsync)
        self._schema, self._schema_seen = schema, self._schema_signature()

    def _note_turns(self, log: _Log, rows: list[_Row]) -> None:
        expected = log.next
        for row in rows:
            if row.number != expected:
                with _unimportant(self._books.numbers):
                    bookkeeping.note_turn(self._books, row.number, log.name, row.row)
            expected = row.number + 1

    def _begin(self, log: _Log) -> None:
        if log.descriptor is None:
            log.descriptor = self._open_append(log.path, os.O_CREAT | os.O_EXCL)
            found = os.fstat(log.descriptor)
            log.inode = (found.st_dev, found.st_ino)
        log.header = [column.name for column in log.columns]

    def _write_all(self, log: _Log, data: bytes) -> None:
        assert log.descriptor is not None
        os.lseek(log.descriptor, 0, os.SEEK_END)
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(log.descriptor, rest) :]
        if self._fsync:
            files.sync(log.descriptor)

    def _undo(self, log: _Log, start: int, group: list[_Ticket]) -> bool:
        """Make the log what it was and take the files back. Returns whether the disk let us."""
        try:
            if log.descriptor is not None and os.fstat(log.descriptor).st_size > start:
                os.ftruncate(log.descriptor, start)
                if self._fsync:
                    files.sync(log.descriptor)
            if log.size < 0 and log.descriptor is not None:
                self._open.close(log.descriptor)
                log.descriptor = None
                os.unlink(log.path)
        except OSError:
            logger.exception("'%s' could not be cut back to its %d bytes.", log.path, start)
            return False  # the row may still be there, so its files must stay
        for ticket in group:
            ticket.withdraw()
        return True

    def _committed(self, log: _Log, size: int, rows: list[_Row]) -> None:
        """Note what is now on disk and tell the callers. From here on nothing can fail the flags."""
        assert log.descriptor is not None
        log.size, log.rows, log.next = size, log.rows + len(rows), rows[-1].number + 1
        log.tail = bookkeeping.tail_checksum(log.descriptor, size)
        self._next = max(self._next, log.next)
        self._note()
        total = sum(other.rows for other in self._logs.values()) - len(rows)
        for place, row in enumerate(rows, 1):
            row.ticket.receipt = Receipt(row.number, total + place, log.name, row.row, log.columns, row.texts)

    def _note(self) -> None:
        """Note what is committed: in place and without fsync, since it is checked before it is believed."""
        line = State(self._next, {log.name: log.note() for log in self._logs.values() if log.size >= 0}).line()
        with _unimportant(self._books.state):
            assert self._state_file is not None
            os.lseek(self._state_file, 0, os.SEEK_SET)
            os.write(self._state_file, line)
            self._state_raw = line.rstrip(b"\n")


@contextmanager
def _unimportant(path: Path) -> Iterator[None]:
    """Bookkeeping that failed must not fail a flag: it is rebuilt when it is found wanting."""
    try:
        yield
    except OSError as error:
        logger.warning("'%s' could not be written: %s. Nothing is lost; the next flag reads the log anew.", path, error)
