"""CsvLog when things go wrong: a fault at every system call, a kill at every step, a cut at every byte."""

from __future__ import annotations

import builtins
import errno
import io
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from logs import IMAGE, all_rows, assert_whole, flag_image, flag_text, orphans, pixels, published, rows, snapshot

from gradio_flagplus import files, lock
from gradio_flagplus.bookkeeping import Books
from gradio_flagplus.cells import cell_of
from gradio_flagplus.errors import FlagplusError, LogNotWritable
from gradio_flagplus.log import CsvLog, Entry

FLAGS = {"text": flag_text, "image": flag_image}

# Everything that a flag asks of the system. What only gives back (close, unlock) is left out: a failure there
# comes after the fact.
CALLS = [
    (os, name)
    for name in (
        "open", "write", "read", "lseek", "fsync", "stat", "lstat", "fstat", "mkdir", "link", "rename", "replace",
        "unlink", "ftruncate", "scandir", "rmdir",
    )
] + [(files, "_read"), (files, "_write"), (lock, "lock_descriptor"), (builtins, "open"), (io, "open")]  # fmt: skip


@contextmanager
def stepping(at_step: Callable[[int, Callable[..., Any], tuple[Any, ...], dict[str, Any]], Any]) -> Iterator[list[int]]:
    """Count every system call of the block and let `at_step` make each of them."""
    steps = [0]

    def wrapped(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            steps[0] += 1
            return at_step(steps[0], real, args, kwargs)

        return call

    with pytest.MonkeyPatch.context() as patch:
        for module, name in CALLS:
            patch.setattr(module, name, wrapped(getattr(module, name)))
        yield steps


def steps_of(flag: Callable[[CsvLog, int], object], log: CsvLog, number: int) -> int:
    """How many system calls this flag makes."""
    with stepping(lambda _step, real, args, kwargs: real(*args, **kwargs)) as steps:
        flag(log, number)
    return steps[0]


def prepared(directory: Path, earlier: int, kind: str, *, warm: bool = False) -> CsvLog:
    """A log with earlier flags; a warm one has its files open already."""
    log = CsvLog(directory)
    for number in range(earlier):
        FLAGS[kind](log, number)
    return log if warm else CsvLog(directory)


def error_of(work: Callable[[], object]) -> LogNotWritable | None:
    """The error that `work` raises, if it does."""
    try:
        work()
    except LogNotWritable as error:
        return error
    return None


def staging_is_empty(directory: Path) -> bool:
    folder = Books.of(directory).staging
    return not folder.is_dir() or not list(folder.iterdir())


@pytest.mark.parametrize(
    "error",
    [
        *(pytest.param(code, id=errno.errorcode[code]) for code in (errno.ENOSPC, errno.EACCES)),
        *(
            pytest.param(code, id=errno.errorcode[code], marks=pytest.mark.stress)
            for code in (errno.EIO, errno.EMFILE, errno.EROFS, errno.EFBIG)
        ),
    ],
)
@pytest.mark.parametrize(("earlier", "warm"), [(0, False), (2, False), (2, True)], ids=["first", "cold", "warm"])
@pytest.mark.parametrize("kind", FLAGS)
def test_a_fault_at_any_call_costs_that_flag_alone(tmp_path, kind, earlier, warm, error):
    """Whichever system call fails once: the flag is stored, or an error with a path is raised and nothing is left."""
    flag = FLAGS[kind]
    total = steps_of(flag, prepared(tmp_path / "dry", earlier, kind, warm=warm), earlier)
    assert total > 8
    outcomes, failed = set(), [""]
    for step in range(1, total + 1):
        directory = tmp_path / str(step)
        log = prepared(directory, earlier, kind, warm=warm)
        before = snapshot(directory)

        def fail(now: int, real: Any, args: Any, kwargs: Any, step: int = step) -> Any:
            if now == step:
                failed[0] = real.__name__
                raise OSError(
                    error, os.strerror(error), str(args[0]) if args and isinstance(args[0], str | Path) else None
                )
            return real(*args, **kwargs)

        with stepping(fail):
            raised = error_of(lambda flag=flag, log=log: flag(log, earlier))
        stored = raised is None
        assert stored or (raised.certain and str(tmp_path) in str(raised)), step
        outcomes.add(stored)
        if not stored:
            assert snapshot(directory) == before, step
            assert staging_is_empty(directory) or failed == ["unlink"], step
        totals = [flag(log, earlier + 1).total, flag(CsvLog(directory), earlier + 2).total]
        assert totals == [earlier + stored + 1, earlier + stored + 2], step
        expected = [*range(earlier), *([earlier] if stored else []), earlier + 1, earlier + 2]
        assert sorted(assert_whole(directory)) == expected, step
        assert not orphans(directory), step
        assert staging_is_empty(directory) or failed == ["unlink"], step  # a staged name that could not be removed
        assert len(list(directory.glob("*.csv"))) == 1, step
    assert outcomes == {True, False}


def test_a_row_written_in_part_is_cut_off(tmp_path):
    """A disk that fills up in the middle of the row leaves the log as it was and no file."""
    log = prepared(tmp_path, 1, "image", warm=True)
    before = snapshot(tmp_path)
    real, full = os.write, [False]

    def half(descriptor: int, data: Any) -> int:
        if full[0]:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if bytes(data).startswith(b"prompt"):
            full[0] = True
            return real(descriptor, data[: len(data) // 2])
        return real(descriptor, data)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "write", half)
        with pytest.raises(LogNotWritable, match=os.strerror(errno.ENOSPC)) as caught:
            flag_image(log, 1)

    assert caught.value.errno == errno.ENOSPC
    assert snapshot(tmp_path) == before
    assert flag_image(log, 2).total == 2
    assert assert_whole(tmp_path) == [0, 2]


def test_if_the_disk_refuses_to_undo_the_files_stay(tmp_path):
    """An fsync that fails, and a log that cannot be cut back: the error says so, and no row lacks its files."""
    log = prepared(tmp_path, 1, "image", warm=True)

    def broken(*_args: Any) -> Any:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    real = os.fsync
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "ftruncate", broken)
        patch.setattr(
            os, "fsync", lambda fd: broken() if "logs.csv" in os.readlink(f"/proc/self/fd/{fd}") else real(fd)
        )
        with pytest.raises(LogNotWritable, match="may nevertheless be there") as caught:
            flag_image(log, 1)

    assert not caught.value.certain
    assert published(tmp_path) == ["Output/0.png", "Output/1.png", "im/0.png", "im/1.png"]
    assert flag_image(log, 2).total == 3
    assert assert_whole(tmp_path) == [0, 1, 2]


def test_an_interrupt_in_the_middle_undoes_the_flag(tmp_path):
    """Ctrl-C while the row is written raises in that thread, and leaves no half row and no file."""
    log = prepared(tmp_path, 1, "image", warm=True)
    before = snapshot(tmp_path)
    real = os.write

    def interrupted(descriptor: int, data: Any) -> int:
        if bytes(data).startswith(b"prompt"):
            real(descriptor, data[:9])
            raise KeyboardInterrupt
        return real(descriptor, data)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "write", interrupted)
        with pytest.raises(KeyboardInterrupt):
            flag_image(log, 1)

    assert snapshot(tmp_path) == before
    assert flag_image(log, 2).total == 2


def in_a_child(work: Callable[[], object]) -> int:
    """Do `work` in a forked child; returns its exit code."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Python 3.12 warns of forks with threads; the child only writes and dies
        child = os.fork()
    if child == 0:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def killed_at(step: int, log: CsvLog, flag: Callable[[CsvLog, int], object], number: int, *, half: bool) -> bool:
    """Die in a child before this step of the flag, or half way through it. Says whether it came to it."""

    def die(now: int, real: Any, args: Any, kwargs: Any) -> Any:
        if now == step:
            if half and real is real_write:
                real(args[0], bytes(args[1])[: len(args[1]) // 2])
            os._exit(9)
        return real(*args, **kwargs)

    real_write = os.write

    def work() -> None:
        with stepping(die):
            flag(log, number)

    code = in_a_child(work)
    assert code in (0, 9), code
    return code == 9


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.parametrize("half", [False, True], ids=["before the step", "half way"])
@pytest.mark.parametrize("earlier", [0, 2], ids=["first", "later"])
@pytest.mark.parametrize("kind", FLAGS)
def test_a_flag_killed_at_any_step_leaves_whole_rows_only(tmp_path, kind, earlier, half):
    """Whatever step a process dies at, earlier flags stay whole, no row names a missing file, and flags go on."""
    flag = FLAGS[kind]
    step, survived = 1, []
    while True:
        directory = tmp_path / str(step)
        log = prepared(directory, earlier, kind)
        if not killed_at(step, log, flag, earlier, half=half):
            break
        if all_rows(directory):
            step_rows = assert_whole_or_torn(directory, earlier)
            survived.append(len(step_rows) > earlier)
        receipts = [flag(CsvLog(directory), earlier + 1), flag(log, earlier + 2)]
        found = assert_whole(directory, acknowledged=[*range(earlier), earlier + 1, earlier + 2])
        assert receipts[1].total == len(found)
        assert len({receipt.number for receipt in receipts}) == 2
        # A file that the killed flag had published is nobody else's, and neither is its number.
        given = {str(receipt.number) for receipt in receipts}
        assert not given & {Path(orphan).stem for orphan in orphans(directory)}
        assert len(list(directory.glob("*.csv"))) == 1
        step += 1
    assert step > 12
    assert survived[-1]  # the last steps come after the row is written


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_the_number_of_a_killed_flag_is_not_lent(tmp_path):
    """A flag that dies between its two files leaves one; a later flag without such a file takes another number."""
    step = 1
    while True:
        directory = tmp_path / str(step)
        assert killed_at(step, prepared(directory, 1, "image"), flag_image, 1, half=False)
        if orphans(directory) == {"im/1.png"}:
            break
        step += 1
    log = CsvLog(directory)
    with log.staging() as staging:
        receipt = log.append(Entry(IMAGE, ["prompt 2", "", cell_of(staging.write(b"x", ".png"), "file")]))

    assert receipt.number == 2


def assert_whole_or_torn(directory: Path, earlier: int) -> list[list[str]]:
    """What a reader sees right after the kill: whole rows, and at most an unfinished line behind them."""
    raw = (directory / "logs.csv").read_bytes()
    whole = raw[: raw.rfind(b"\r\n") + 2]
    (directory / "logs.csv").write_bytes(whole)
    found = assert_whole(directory, acknowledged=range(earlier)) if whole else []
    (directory / "logs.csv").write_bytes(raw)
    return [[str(n)] for n in found]


@pytest.mark.parametrize(
    "last",
    ["plain", 'quotes " and\r\nlines, "', '="1"', 'ends in a quote"'],
    ids=["plain", "lines", "formula", "quote"],
)
@pytest.mark.parametrize("books", [True, False], ids=["books", "no books"])
def test_a_log_cut_at_any_byte_of_its_last_row(tmp_path, last, books):
    """Wherever a crash cuts the last row, it is set aside whole, and the rows before and after it are whole."""
    directory = tmp_path / "flagged"
    log = CsvLog(directory)
    flag_text(log, 0)
    flag_text(log, 1, text='quoted "text"\r\n over lines')
    before = (directory / "logs.csv").read_bytes()
    state = (directory / ".flagplus/state").read_bytes()
    flag_text(log, 2, text=last)
    whole = (directory / "logs.csv").read_bytes()
    torn = directory / ".flagplus/torn"
    for cut in range(len(before), len(whole) + 1):
        (directory / "logs.csv").write_bytes(whole[:cut])
        (directory / ".flagplus/state").write_bytes(state if books else b"")
        receipt = flag_text(CsvLog(directory), 3)

        kept = whole if cut == len(whole) else before
        assert (directory / "logs.csv").read_bytes() == kept + b"hello,answer 3,3\r\n", cut
        assert receipt.total == len(rows(directory / "logs.csv"))
        aside = [path.read_bytes() for path in torn.iterdir()] if torn.is_dir() else []
        assert aside == ([whole[len(before) : cut]] if len(before) < cut < len(whole) else []), cut
        for path in torn.iterdir() if torn.is_dir() else ():
            path.unlink()


def test_a_header_cut_at_any_byte_is_begun_anew(tmp_path):
    """A crash in the very first write leaves a piece of a header: it is set aside and the log begins as if new."""
    directory = tmp_path / "flagged"
    flag_text(CsvLog(directory), 0)
    whole = (directory / "logs.csv").read_bytes()
    header = whole.index(b"\r\n") + 2
    for cut in range(header):
        (directory / "logs.csv").write_bytes(whole[:cut])
        assert flag_text(CsvLog(directory), 1).total == 1
        assert (directory / "logs.csv").read_bytes() == whole.replace(b"answer 0,0", b"answer 1,1"), cut
    assert [path.name for path in directory.glob("*.csv")] == ["logs.csv"]


def test_orphans_of_a_crash_do_not_lend_their_number(tmp_path):
    """Files that a killed flag had published are no other flag's: the next takes a number that no file bears."""
    directory = tmp_path / "flagged"
    log = CsvLog(directory)
    flag_image(log, 0)
    (directory / "im/1.png").write_bytes(b"published, then killed")

    receipt = flag_image(CsvLog(directory), 1)

    assert receipt.number == 2
    assert (directory / "im/2.png").read_bytes() == pixels(1, "in")
    assert orphans(directory) == {"im/1.png"}


def test_every_error_of_ours_is_one_to_catch():
    """Whatever the log raises is a FlagplusError, and the disk's errors are OSErrors besides."""
    assert issubclass(LogNotWritable, FlagplusError)
    assert issubclass(LogNotWritable, OSError)
    assert sys.modules["gradio_flagplus.log"].LogNotWritable is LogNotWritable
