"""What is wrong in a directory is found, what can be mended is, and nothing else is touched."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from logs import flag_image, flag_text, snapshot

from gradio_flagplus import FlagplusError, check, read_flags
from gradio_flagplus.bookkeeping import Books, State, read_state
from gradio_flagplus.cells import cell_of
from gradio_flagplus.columns import Column
from gradio_flagplus.errors import LogBusy
from gradio_flagplus.integrity import BEYOND_MENDING, KINDS
from gradio_flagplus.log import CsvLog, Entry


@pytest.fixture
def flags(flag_dir: Path) -> Path:
    """Three flags with files and three without, in two logs."""
    log = CsvLog(flag_dir)
    for number in range(0, 6, 2):
        flag_image(log, number)
        flag_text(log, number + 1)
    return flag_dir


def kinds(directory: Path) -> list[str]:
    return [problem.kind for problem in check(directory)]


def dead_process() -> int:
    """The id of a process that has just ended."""
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    return child.pid


def remove_file(directory: Path) -> None:
    (directory / "im" / "2.png").unlink()


def lead_out(directory: Path) -> None:
    log = directory / "logs.csv"
    log.write_bytes(log.read_bytes().replace(b"im/2.png", b"../../x2"))
    CsvLog(directory).mend()
    (directory / "im" / "2.png").unlink()


def leave_orphan(directory: Path) -> None:
    (directory / "im" / "7.png").write_bytes(b"nobody's")


def leave_second_file(directory: Path) -> None:
    (directory / "im" / "2.jpg").write_bytes(b"nobody's")


def tear_tail(directory: Path) -> None:
    with open(directory / "logs.csv", "ab") as file:
        file.write(b'prompt,"half\r\n a ro')


def cut_row(directory: Path) -> None:
    log = directory / "logs-2.csv"
    log.write_bytes(log.read_bytes().replace(b"hello,answer 3,3", b"hello,answer 3"))
    CsvLog(directory).mend()


def rename_column(directory: Path) -> None:
    log = directory / "logs-2.csv"
    log.write_bytes(log.read_bytes().replace(b"score", b"marks"))


def leave_staged(directory: Path) -> None:
    with CsvLog(directory).staging() as staging:
        path = staging.fresh(".png")
    name = path.name.replace(f"-{os.getpid()}-", f"-{dead_process()}-")
    (directory / ".flagplus" / "staging" / name).write_bytes(b"half")


def miscount(directory: Path) -> None:
    path = Books.of(directory).state
    state = read_state(Books.of(directory))
    notes = {name: type(note)(note.size, note.rows + 5, note.next, note.tail) for name, note in state.logs.items()}
    path.write_bytes(State(state.next, notes).line())


def spoil_state(directory: Path) -> None:
    Books.of(directory).state.write_bytes(b"nonsense\n")


def spoil_schema(directory: Path) -> None:
    Books.of(directory).schema.write_bytes(b'{"format":')


def grow_unnoted(directory: Path) -> None:
    with open(directory / "logs-2.csv", "ab") as file:
        file.write(b"hello,answer 9,9\r\n")


DAMAGES = [
    pytest.param(remove_file, "missing file", id="file-removed"),
    pytest.param(lead_out, "outside path", id="path-leads-out"),
    pytest.param(leave_orphan, "orphan file", id="orphan"),
    pytest.param(leave_second_file, "orphan file", id="orphan-of-a-number-in-use"),
    pytest.param(tear_tail, "torn tail", id="torn"),
    pytest.param(cut_row, "ragged row", id="ragged"),
    pytest.param(leave_staged, "stale staging", id="staged"),
    pytest.param(miscount, "bookkeeping", id="miscounted"),
    pytest.param(spoil_state, "bookkeeping", id="state-spoilt"),
    pytest.param(spoil_schema, "bookkeeping", id="schema-spoilt"),
    pytest.param(grow_unnoted, "bookkeeping", id="rows-not-noted"),
]


def test_what_the_logger_wrote_has_no_problems(flags):
    """A directory that only the logger wrote is clean, with its bookkeeping and without."""
    assert check(flags) == []

    shutil.rmtree(flags / ".flagplus")
    assert check(flags) == []


@pytest.mark.parametrize(("damage", "kind"), DAMAGES)
def test_each_damage_is_found_and_named(flags, damage, kind):
    """A damage gives one problem of its kind, with a path and a sentence, and looking changes nothing."""
    damage(flags)
    before = snapshot(flags)

    problem = check(flags)[0]

    assert set(kinds(flags)) == {kind}
    assert kind in KINDS
    assert str(problem).startswith(f"{kind}: ")
    assert (problem.row is None) == (kind in ("orphan file", "stale staging", "bookkeeping"))
    assert snapshot(flags) == before


@pytest.mark.parametrize(("damage", "kind"), DAMAGES)
def test_a_second_check_finds_only_what_nobody_can_mend(flags, damage, kind):
    """`fix` tells what it found; afterwards there is left what a person must see to, and every whole row as it was."""
    damage(flags)
    before = [flag.texts for flag in read_flags(flags)]

    assert {problem.kind for problem in check(flags, fix=True)} == {kind}

    assert set(kinds(flags)) <= {kind} & set(BEYOND_MENDING)
    assert [flag.texts for flag in read_flags(flags)] == before
    assert len(read_flags(flags)) == len(before)
    flag_image(CsvLog(flags), 8)
    assert set(kinds(flags)) <= {kind} & set(BEYOND_MENDING)


def test_a_foreign_header_is_reported_until_a_person_mends_it(flags):
    """A header that is not the one noted stays as it is, whatever `fix` does."""
    rename_column(flags)

    assert "foreign header" in kinds(flags)
    check(flags, fix=True)
    assert b"marks" in (flags / "logs-2.csv").read_bytes()


def test_mended_things_are_moved_not_deleted(flags):
    """Orphans and torn tails are to be found in `.flagplus/torn` afterwards."""
    leave_orphan(flags)
    tear_tail(flags)

    check(flags, fix=True)

    torn = flags / ".flagplus" / "torn"
    assert (torn / "orphans" / "im" / "7.png").read_bytes() == b"nobody's"
    assert [path.read_bytes() for path in torn.glob("logs.csv-*")] == [b'prompt,"half\r\n a ro']


def test_a_persons_own_files_are_no_problem(flags):
    """Files that bear no number, or lie elsewhere, are left alone."""
    for name in ("im/notes.txt", "README.md", "elsewhere/7.png", "dataset1.csv", "prompt/7.png"):
        (flags / name).parent.mkdir(exist_ok=True)
        (flags / name).write_bytes(b"mine")
    before = snapshot(flags)

    assert check(flags, fix=True) == []
    assert snapshot(flags) == before


def test_a_file_that_a_row_may_mean_is_no_orphan(flags):
    """Where the row's number is not certain, a file that its text names stays where it is."""
    log = flags / "logs.csv"
    first, _second, *rest = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(b"".join([first, *rest]))  # the first row deleted by hand
    shutil.rmtree(flags / ".flagplus")

    check(flags, fix=True)

    assert sorted(path.name for path in (flags / "im").iterdir()) == ["2.png", "4.png"]


def test_a_row_with_several_files_names_them_all(flag_dir):
    """The files of a list are no orphans, and one that is gone is missed."""
    columns = (Column("g", "json", folder="g"),)
    log = CsvLog(flag_dir)
    with log.staging() as staging:
        files = [staging.write(b"x", ".png") for _ in range(3)]
        log.append(Entry(columns, [cell_of(files, "json")]))

    assert check(flag_dir) == []
    (flag_dir / "g" / "0-1.png").unlink()
    assert [(problem.kind, problem.row) for problem in check(flag_dir)] == [("missing file", 0)]


def test_files_of_a_first_flag_that_died_are_orphans(flags):
    """A crash before the first row leaves files and no log; the files are found all the same."""
    for log in flags.glob("*.csv"):
        log.unlink()
    Books.of(flags).state.write_bytes(State(6).line())

    assert set(kinds(flags)) == {"orphan file"}
    check(flags, fix=True)
    assert check(flags) == []


def test_staged_files_of_the_living_stay(flags):
    """What a living process has on its way in is no problem, unless it is older than a day."""
    with CsvLog(flags).staging() as staging:
        path = staging.write(b"soon", ".png").path
        assert check(flags, fix=True) == []
        assert path.exists()

        os.utime(path, (time.time() - 90_000,) * 2)
        assert kinds(flags) == ["stale staging"]


def test_reviews_are_checked_with_their_own_bookkeeping(flags):
    """A torn tail of the reviews is found and mended, and is no matter of the flags."""
    reviews = CsvLog(flags, log_name="reviews.csv", books=Books(flags / ".flagplus" / "reviews"))
    reviews.append(Entry((Column("number", "json"), Column("decision")), ["0", "keep"]))
    assert check(flags) == []
    with open(flags / "reviews.csv", "ab") as file:
        file.write(b"1,ke")

    assert [(p.kind, p.path.name) for p in check(flags, fix=True)] == [("torn tail", "reviews.csv")]
    assert check(flags) == []


def test_a_directory_without_logs_has_no_problems(tmp_path):
    """There is nothing wrong where there is nothing, and nothing is made there."""
    assert check(tmp_path, fix=True) == []
    assert list(tmp_path.iterdir()) == []


def test_a_directory_that_is_not_there_is_said_so(tmp_path):
    """The error names the directory."""
    with pytest.raises(FlagplusError, match="nowhere"):
        check(tmp_path / "nowhere")


def test_it_waits_for_the_writers(flags, monkeypatch):
    """While somebody writes, nothing is looked at."""
    monkeypatch.setattr("gradio_flagplus.integrity.CsvLog", lambda *args, **kw: CsvLog(*args, lock_timeout=0.01, **kw))
    with CsvLog(flags).locked(), pytest.raises(LogBusy):
        check(flags)
