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
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from . import bookkeeping, files, record
from .batch import GroupCommit
from .bookkeeping import Books, LogNames, State, StateFile
from .columns import Column, components_of, meta_order, recognise
from .entry import Entry, Receipt, Row, Ticket
from .errors import FlagplusError, LogNotWritable
from .lock import WriterLock
from .logfile import LogFile

__all__ = ["CsvLog", "Entry", "Receipt"]

logger = logging.getLogger("gradio_flagplus")


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
        self._group = GroupCommit(self._commit)
        self._lock = WriterLock(self._books.lock, self._lock_timeout, fsync=self._fsync)
        self._logs: dict[str, LogFile] = {}
        self._ours: set[str] = set()
        self._schema: dict[str, tuple[Column, ...]] = {}
        self._schema_seen: tuple[int, ...] | None = None
        self._state_file = StateFile(self._books.state)
        self._state = b""
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
        ticket = Ticket(entry)
        self._group.run(ticket)
        if ticket.error is not None:
            raise ticket.error
        if ticket.receipt is None:
            raise LogNotWritable(self.directory, OSError(errno.EINTR, "the thread that was writing was interrupted"))
        return ticket.receipt

    def mend(self) -> None:
        """Set aside torn tails, count the logs anew and note what was found, as a flag would. Raises as `append`."""
        with self.locked():
            self._mistrust()
            self._look()
            self._note_columns()
            self._note()

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the writers' lock, for who looks at the directory or mends it. Raises as `append`."""
        try:
            with self._lock.held():
                yield
        except OSError as error:
            raise self._explained(error) from error
        finally:
            self._mistrust()

    # ---- a batch

    def _commit(self, batch: list[Ticket]) -> None:
        """Commit what can be committed; every ticket gets its receipt, or an error of its own."""
        try:
            with self._lock.held() as elsewhere:
                if elsewhere:
                    self._mistrust()
                self._commit_groups(batch)
        except Exception as error:  # noqa: BLE001  it is raised again, in every caller's thread
            for ticket in batch:
                if ticket.receipt is None and ticket.error is None:
                    ticket.error = self._explained(error)

    def _commit_groups(self, batch: list[Ticket]) -> None:
        trusted = False
        try:
            self._look()
            failed = [self._try_write(log, group) for log, group in self._sort(batch)]
            trusted = not any(failed)
        finally:
            # On Windows an open log could neither be opened by a spreadsheet nor replaced.
            if not trusted or os.name == "nt":
                self._mistrust()

    def _try_write(self, log: LogFile, group: list[Ticket]) -> bool:
        """Write one log's flags; if that fails, it fails for them and for no others. Returns whether any failed."""
        try:
            self._write(log, group)
        except OSError as error:
            for ticket in group:
                ticket.error = self._explained(error)
        return any(ticket.error is not None for ticket in group)

    def _explained(self, error: Exception) -> Exception:
        """The error for one caller: an object of its own, since each raises it with its own traceback."""
        if isinstance(error, LogNotWritable):
            cause = OSError(error.errno, error.strerror)
            explained: Exception = LogNotWritable(error.path, cause, certain=error.certain)
        elif isinstance(error, OSError) and not isinstance(error, FlagplusError):
            explained = LogNotWritable(error.filename or self.directory, error)
        else:
            return error
        explained.__cause__ = error
        return explained

    # ---- looking: what is there, and is it what was noted?

    def _mistrust(self) -> None:
        """Look everything up again at the next flag."""
        for log in self._logs.values():
            log.close()
        self._logs, self._state = {}, b""
        self._state_file.close()

    def _look(self) -> None:
        state, seen = self._state_file.read(), self._schema_signature()
        if not self._logs or not state or seen != self._schema_seen or not self._take_note(state):
            self._load(state)
            self._schema_seen = seen
        for log in list(self._logs.values()):
            self._check(log)

    def _schema_signature(self) -> tuple[int, ...] | None:
        try:
            found = os.stat(self._books.schema)
        except FileNotFoundError:
            return None
        return found.st_ino, found.st_size, found.st_mtime_ns

    def _take_note(self, raw: bytes) -> bool:
        """Take over what another process noted since; False if it speaks of logs that we have not looked at."""
        if raw == self._state:
            return True
        state = bookkeeping.parse_state(raw)
        if state is None or state.logs.keys() != self._logs.keys():
            return False
        for name, note in state.logs.items():
            self._logs[name].take(note)
        self._next, self._state = state.next, raw
        return True

    def _load(self, raw: bytes) -> None:
        """Make `_logs` what the directory and the bookkeeping say."""
        if self._fsync and not self._synced:
            # Whoever made these folders may have died before it had synced their names.
            for folder in (self.directory.parent, self.directory):
                files.sync_folder(folder)
            self._synced = True
        state = bookkeeping.parse_state(raw) or State(0)
        self._schema = bookkeeping.read_schema(self._books)
        for log in self._logs.values():
            log.close()
        names = self._log_files()
        self._logs, self._ours = {}, {name for name in names if self._names.place(name)}
        for name in names:
            log = LogFile(self.directory / name, self._schema.get(name, ()), state.logs.get(name))
            log.open()
            self._logs[name] = log
        self._next = max([state.next, *(log.next for log in self._logs.values())])
        self._state = raw

    def _log_files(self) -> list[str]:
        """The logs that are there, oldest first: those of our name, and those of another that the schema knows."""
        with os.scandir(self.directory) as entries:
            there = [e.name for e in entries if (self._names.place(e.name) or e.name in self._schema) and e.is_file()]
        return sorted(there, key=lambda name: (self._names.place(name) or 0, name))

    def _check(self, log: LogFile) -> None:
        """Make a log whole and what is known of it true, before anything is added to it."""
        try:
            size, intact = log.look()
        except FileNotFoundError:
            log.close()
            del self._logs[log.name]
            return
        if intact and size == log.size:
            return
        before = log.rows
        log.repair(size, self._books.torn, intact=intact, fsync=self._fsync)
        numbers = bookkeeping.read_numbers(self._books)
        following = numbers.of(log.name, log.rows)
        log.next = -1 if not intact else following if numbers.known() else log.next + log.rows - before
        total = sum(other.rows for other in self._logs.values())
        highest = max(files.highest_number(self.directory), numbers.highest())
        self._next = max(self._next, log.next, following, total, highest + 1)
        self._note()

    # ---- choosing: which log does a flag go to?

    def _sort(self, batch: list[Ticket]) -> list[tuple[LogFile, list[Ticket]]]:
        groups: dict[str, tuple[LogFile, list[Ticket]]] = {}
        for ticket in batch:
            log = self._target(ticket.entry.components, ticket.meta)
            groups.setdefault(log.name, (log, []))[1].append(ticket)
        return list(groups.values())

    def _target(self, components: tuple[Column, ...], needed: Mapping[Column, bytes]) -> LogFile:
        """The newest log that the row fits; if there is none, one that is empty, or of which no file is there yet."""
        ours = [log for log in self._logs.values() if log.name in self._ours]
        for log in ours:
            if not log.columns and log.header:  # the bookkeeping is gone, or the header was edited
                log.columns = recognise(log.header, components, needed) or ()
        for log in reversed(ours):
            if log.fits(components, needed):
                return log
        blank = next((log for log in reversed(ours) if not log.header and log.size <= 0), None)
        if blank is None:
            name = self._names.name(1 + max((self._names.place(log.name) or 0 for log in ours), default=0))
            self._ours.add(name)
            blank = self._logs[name] = LogFile(self.directory / name)
            blank.next = -1 if self._books.numbers.exists() else 0
        blank.plan(self._new_columns(ours, components, needed))
        return blank

    @staticmethod
    def _new_columns(
        ours: list[LogFile], components: tuple[Column, ...], needed: Mapping[Column, bytes]
    ) -> tuple[Column, ...]:
        """The columns of a log to be begun: what the row needs, and what was in use with these components before.

        Without the latter, flags with a comment and flags with a reason would begin one log after another.
        """
        used = next((log.columns for log in reversed(ours) if components_of(log.columns) == components), ())
        names = {column.name for column in (*components, *needed)}
        kept = [column for column in used if column.name not in names]
        return (*components, *meta_order([*needed, *kept]))

    # ---- writing

    def _write(self, log: LogFile, group: list[Ticket]) -> None:
        """Commit a group of flags to one log: all of those whose files could be published, or none."""
        following, new = self._next, log.size <= 0
        try:
            rows = self._publish_all(log, group)
            if not rows:
                return
            self._note_columns()
            self._note_turns(log, rows)
            data = b"".join(row.data for row in rows)
            if new:
                log.begin()
                data = record.encode(column.name for column in log.columns) + data
            log.write(data, fsync=self._fsync)
            if self._fsync and new:
                files.sync_folder(self.directory)
        except BaseException as error:
            certain = self._undo(log, group)
            self._next = following
            if isinstance(error, OSError) and not certain:
                raise LogNotWritable(log.path, error, certain=False) from error
            raise
        self._committed(log, data, rows)

    def _publish_all(self, log: LogFile, group: list[Ticket]) -> list[Row]:
        """Give the files of every flag their names, durably. A flag whose files cannot be published fails alone."""
        number = self._next
        if any(ticket.names_files for ticket in group):
            # Noted before any file bears them: a number that a crash leaves on a file is not given again.
            self._next += len(group)
            self._note()
        rows: list[Row] = []
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

    def _publish(self, ticket: Ticket, number: int) -> int:
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

    def _note_columns(self) -> None:
        """Note the kinds of the logs' columns before a first row needs them: the header alone does not tell them."""
        # Where somebody edited the header, what was noted still tells the kinds of the columns that they left.
        known = {log.name: log.columns or self._schema.get(log.name, ()) for log in self._logs.values()}
        schema = {name: columns for name, columns in known.items() if columns}
        if schema != self._schema:
            bookkeeping.write_schema(self._books, schema, fsync=self._fsync)
            self._schema, self._schema_seen = schema, self._schema_signature()

    def _note_turns(self, log: LogFile, rows: list[Row]) -> None:
        expected = log.next
        for row in rows:
            if row.number != expected:
                self._note_turn(log, row)
            expected = row.number + 1

    def _note_turn(self, log: LogFile, row: Row) -> None:
        try:
            bookkeeping.note_turn(self._books, row.number, log.name, row.row)
        except OSError as error:
            _not_noted(self._books.numbers, error)

    def _undo(self, log: LogFile, group: list[Ticket]) -> bool:
        """Make the log what it was and take the files back. Returns whether the disk let us."""
        try:
            log.cut_back(fsync=self._fsync)
        except OSError:
            logger.exception("'%s' could not be cut back to its %d bytes.", log.path, max(log.size, 0))
            return False  # the row may still be there, so its files must stay
        for ticket in group:
            ticket.withdraw()
        return True

    def _committed(self, log: LogFile, data: bytes, rows: list[Row]) -> None:
        """Note what is now on disk and tell the callers. From here on nothing can fail the flags."""
        log.grew(data, len(rows), rows[-1].number + 1)
        self._next = max(self._next, log.next)
        self._note()
        total = sum(other.rows for other in self._logs.values()) - len(rows)
        for place, row in enumerate(rows, 1):
            row.ticket.receipt = Receipt(row.number, total + place, log.name, row.row, log.columns, row.texts)

    def _note(self) -> None:
        """Note what is committed."""
        line = State(self._next, {log.name: log.note() for log in self._logs.values() if log.size >= 0}).line()
        try:
            self._state_file.write(line)
            self._state = line.rstrip(b"\n")
        except OSError as error:
            _not_noted(self._books.state, error)


def _not_noted(path: Path, error: OSError) -> None:
    """Bookkeeping that failed must not fail a flag: it is rebuilt when it is found wanting."""
    logger.warning("'%s' could not be written: %s. Nothing is lost; the next flag reads the log anew.", path, error)
