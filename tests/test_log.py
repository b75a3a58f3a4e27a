"""CsvLog: what holds when a flag went well, and after what people do to their logs."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from filelock import FileLock
from logs import (
    IMAGE,
    TEXT,
    all_rows,
    assert_whole,
    flag_image,
    flag_text,
    orphans,
    pixels,
    published,
    rows,
    snapshot,
)

from gradio_flagplus import files
from gradio_flagplus.bookkeeping import Books, read_numbers, read_schema
from gradio_flagplus.cells import FileCell, StagedFile
from gradio_flagplus.columns import Column, name_columns
from gradio_flagplus.entry import Ticket
from gradio_flagplus.errors import LogBusy, LogNotWritable
from gradio_flagplus.log import CsvLog, Entry


@pytest.fixture
def log(flag_dir: Path) -> CsvLog:
    """A log that has no file yet."""
    return CsvLog(flag_dir)


def staged(directory: Path) -> list[Path]:
    """What lies in staging."""
    folder = Books.of(directory).staging
    return list(folder.iterdir()) if folder.is_dir() else []


def test_making_a_log_touches_nothing(log, flag_dir):
    """Nothing is created before the first flag."""
    assert not flag_dir.exists()


def test_a_text_flag_is_a_header_and_a_row(log, flag_dir):
    """The first flag leaves exactly a header and its row, and says it is the only one."""
    receipt = flag_text(log, 0)

    assert (flag_dir / "logs.csv").read_bytes() == b"prompt,answer,score\r\nhello,answer 0,0\r\n"
    assert (receipt.number, receipt.total, receipt.log, receipt.row) == (0, 1, "logs.csv", 0)
    assert sorted(path.name for path in flag_dir.iterdir()) == [".flagplus", "logs.csv"]


def test_files_get_the_flags_number(log, flag_dir):
    """Each file of a flag lies in its column's folder under the flag's number, and staging is empty again."""
    flag_image(log, 0)
    flag_image(log, 1)

    assert rows(flag_dir / "logs.csv") == [
        ["prompt 0", "im/0.png", "Output/0.png"],
        ["prompt 1", "im/1.png", "Output/1.png"],
    ]
    assert published(flag_dir) == ["Output/0.png", "Output/1.png", "im/0.png", "im/1.png"]
    assert (flag_dir / "im/1.png").read_bytes() == pixels(1, "in")
    assert staged(flag_dir) == []


def test_several_files_in_one_value_are_counted(log, flag_dir):
    """A value with several files gets `<number>-0`, `<number>-1`, each with its own extension."""
    with log.staging() as staging:
        files_ = (staging.write(b"a", ".png"), staging.write(b"b", ".wav"))
        log.append(Entry(IMAGE, ["p", FileCell(('["', '", "', '"]'), files_), ""]))

    assert rows(flag_dir / "logs.csv") == [["p", '["im/0-0.png", "im/0-1.wav"]', ""]]
    assert published(flag_dir) == ["im/0-0.png", "im/0-1.wav"]


def test_a_file_of_a_person_is_never_overwritten(log, flag_dir):
    """A name that is taken is left alone, in every folder of the flag, and the flag takes the next free number."""
    (flag_dir / "Output").mkdir(parents=True)
    (flag_dir / "Output/0.png").write_bytes(b"mine")
    (flag_dir / "Output/7.png").write_bytes(b"mine too")

    receipt = flag_image(log, 0)

    assert receipt.number == 8
    assert (flag_dir / "Output/0.png").read_bytes() == b"mine"
    assert rows(flag_dir / "logs.csv") == [["prompt 0", "im/8.png", "Output/8.png"]]
    assert not (flag_dir / "im/0.png").exists()


def test_a_file_in_the_place_of_a_folder_is_an_error_and_stays(log, flag_dir):
    """Where a person's file has a folder's name, the flag fails with its path; nothing is lost or left behind."""
    flag_text(log, 0)
    (flag_dir / "Output").write_bytes(b"mine")
    before = snapshot(flag_dir)

    with pytest.raises(LogNotWritable, match="Output"):
        flag_image(log, 1)

    assert snapshot(flag_dir) == before
    assert staged(flag_dir) == []
    flag_text(log, 2)


class TestWhichLog:
    """A log's header never changes; a row goes to the newest log that fits it."""

    def test_a_late_user_name_begins_a_log(self, log, flag_dir):
        """The first flag with a user name begins a log with that column, and flags without one follow it there."""
        flag_text(log, 0)
        flag_text(log, 1, username="ada")
        flag_text(log, 2)

        assert (flag_dir / "logs.csv").read_text() == "prompt,answer,score\nhello,answer 0,0\n"
        assert rows(flag_dir / "logs-2.csv") == [["hello", "answer 1", "1", "ada"], ["hello", "answer 2", "2", ""]]

    def test_what_was_in_use_stays_in_use(self, log, flag_dir):
        """A new log for the same components keeps the meta columns of the one before, in the format's order."""
        flag_text(log, 0, username="ada")
        flag_text(log, 1, flag="wrong")
        flag_text(log, 2, comment="see above")
        flag_text(log, 3, username="bob")

        assert sorted(p.name for p in flag_dir.glob("*.csv")) == ["logs-2.csv", "logs-3.csv", "logs.csv"]
        header = (flag_dir / "logs-3.csv").read_text().splitlines()[0]
        assert header == "prompt,answer,score,flag,comment,username"
        assert rows(flag_dir / "logs-3.csv")[1] == ["hello", "answer 3", "3", "", "", "bob"]

    def test_two_versions_of_an_app_take_turns(self, flag_dir):
        """Two apps with other columns on one directory keep to a log each, however often they take turns."""
        old, new = CsvLog(flag_dir), CsvLog(flag_dir)
        totals = []
        for number in range(0, 20, 2):
            totals += [flag_text(old, number).total, flag_image(new, number + 1).total]

        assert sorted(p.name for p in flag_dir.glob("*.csv")) == ["logs-2.csv", "logs.csv"]
        assert totals == list(range(1, 21))
        numbers = read_numbers(Books.of(flag_dir))
        assert [numbers.of("logs-2.csv", row) for row in range(10)] == list(range(1, 20, 2))
        assert [numbers.of("logs.csv", row) for row in range(10)] == list(range(0, 20, 2))

    def test_a_kind_that_changed_begins_a_log(self, log, flag_dir):
        """Columns of the same names but other kinds are other columns."""
        flag_text(log, 0)
        other = name_columns([Column("prompt"), Column("answer"), Column("score", "text")])
        log.append(Entry(other, ["hello", "answer 1", "good"]))

        assert rows(flag_dir / "logs-2.csv") == [["hello", "answer 1", "good"]]

    def test_back_to_an_earlier_set_of_columns(self, log, flag_dir):
        """A row whose columns were used before goes to the log that has them."""
        flag_text(log, 0)
        flag_image(log, 1)
        flag_text(log, 2)

        assert len(rows(flag_dir / "logs.csv")) == 2
        assert len(list(flag_dir.glob("*.csv"))) == 2

    def test_a_log_name_of_ones_own(self, flag_dir):
        """`log_name` names the first log, and its stem and suffix the later ones; the total counts all of them."""
        log = CsvLog(flag_dir, log_name="log.csv")
        flag_text(log, 0)
        assert flag_image(log, 1).total == 2

        assert sorted(p.name for p in flag_dir.glob("*.csv")) == ["log-2.csv", "log.csv"]

    @pytest.mark.parametrize("name", ["../logs.csv", "a/b.csv", "logs", ".csv", "logs.txt", "", "a\\b.csv", "a:b.csv"])
    def test_a_log_name_that_is_no_file_name_is_refused(self, flag_dir, name):
        """Only a plain file name that ends in .csv can be a log's."""
        with pytest.raises(ValueError, match="log_name"):
            CsvLog(flag_dir, log_name=name)

    def test_a_foreign_csv_of_our_name_is_left_alone(self, log, flag_dir):
        """A `logs.csv` that somebody else wrote keeps its bytes; we begin the next."""
        flag_dir.mkdir()
        (flag_dir / "logs.csv").write_bytes(b"date;amount\n1;2\n")
        flag_text(log, 0)

        assert (flag_dir / "logs.csv").read_bytes() == b"date;amount\n1;2\n"
        assert rows(flag_dir / "logs-2.csv") == [["hello", "answer 0", "0"]]


EDITS = {
    "rows-deleted": lambda text: b"\r\n".join(text.split(b"\r\n")[:3]) + b"\r\n",
    "all-rows-deleted": lambda text: text.split(b"\r\n")[0] + b"\r\n",
    "newlines": lambda text: text.replace(b"\r\n", b"\n"),
    "newlines-without-the-last": lambda text: text.replace(b"\r\n", b"\n").removesuffix(b"\n"),
    "bom": lambda text: b"\xef\xbb\xbf" + text,
    "a-cell-changed": lambda text: text.replace(b"answer 2", b"answer 22"),
    "same-length-fewer-rows": lambda text: text.replace(b"\r\nhello,answer 5,5", b"  hello answer 5 5"),
    "same-length-last-row": lambda text: text.replace(b"answer 5", b"answer 7"),
    "a-row-added": lambda text: text + b"by,hand,1\r\n",
    "quoted-everything": lambda text: text.replace(b"hello", b'"hello"'),
}


class TestEditedByHand:
    """A log that somebody edited is counted anew; what they wrote stays as they wrote it."""

    @pytest.mark.parametrize("books", ["books kept", "books deleted"])
    @pytest.mark.parametrize("process", ["same process", "new process"])
    @pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
    def test_an_edit_is_respected(self, log, flag_dir, edit, books, process):
        """After any edit the next flag goes behind what is there, and the total is right."""
        for number in range(6):
            flag_text(log, number)
        path = flag_dir / "logs.csv"
        path.write_bytes(edit(path.read_bytes()))
        edited = path.read_bytes()
        if books == "books deleted":
            shutil.rmtree(flag_dir / ".flagplus")

        receipt = flag_text(log if process == "same process" else CsvLog(flag_dir), 6)

        assert path.read_bytes().startswith(edited)
        assert all_rows(flag_dir)[-1] == ["hello", "answer 6", "6"]
        assert receipt.total == len(all_rows(flag_dir))
        assert receipt.log == "logs.csv"

    def test_numbers_of_deleted_rows_are_not_given_again(self, log, flag_dir):
        """Files of rows that a person deleted keep their names: no later flag takes them."""
        for number in range(4):
            flag_image(log, number)
        path = flag_dir / "logs.csv"
        path.write_bytes(b"\r\n".join(path.read_bytes().split(b"\r\n")[:2]) + b"\r\n")
        shutil.rmtree(flag_dir / ".flagplus")

        receipt = flag_image(CsvLog(flag_dir), 4)

        assert receipt.number == 4
        assert receipt.total == 2
        assert (flag_dir / "im/3.png").read_bytes() == pixels(3, "in")
        assert rows(path)[-1] == ["prompt 4", "im/4.png", "Output/4.png"]

    @pytest.mark.parametrize(
        ("lost", "torn_row"), [(4, b"hello,answer 2"), (3, b"hello,answer 2,"), (2, b"hello,answer 2,2")]
    )
    def test_a_log_cut_in_the_middle_of_a_row(self, log, flag_dir, lost, torn_row):
        """A row that lost its end is set aside, whole rows stay, and the next flag stands on a line of its own."""
        for number in range(3):
            flag_text(log, number)
        path = flag_dir / "logs.csv"
        path.write_bytes(path.read_bytes()[:-lost])

        receipt = flag_text(log, 3)

        assert receipt.total == 3
        assert assert_whole(flag_dir) == [0, 1, 3]
        (torn,) = (flag_dir / ".flagplus/torn").iterdir()
        assert torn.read_bytes() == torn_row

    def test_numbers_that_were_given_up_stay_so_without_the_state(self, log, flag_dir):
        """Where the state is lost, the numbers file still tells which numbers were given."""
        flag_text(log, 0)
        flag_image(log, 1)
        flag_image(log, 2)
        flag_text(log, 3)
        shutil.rmtree(flag_dir / "im")
        shutil.rmtree(flag_dir / "Output")
        (flag_dir / "logs-2.csv").unlink()
        (flag_dir / ".flagplus/state").unlink()

        assert flag_text(CsvLog(flag_dir), 4).number == 4

    def test_the_kinds_of_columns_outlive_an_edited_header(self, log, flag_dir):
        """What was noted of a log whose header somebody changed is kept: it tells the kinds of the other columns."""
        flag_text(log, 0)
        path = flag_dir / "logs.csv"
        path.write_bytes(path.read_bytes().replace(b"prompt", b"Prompt"))
        flag_text(log, 1)

        assert list(read_schema(Books.of(flag_dir))) == ["logs.csv", "logs-2.csv"]

    def test_a_deleted_log_begins_anew(self, log, flag_dir):
        """A log that was deleted is begun again; numbers go on."""
        flag_image(log, 0)
        (flag_dir / "logs.csv").unlink()

        receipt = flag_image(log, 1)

        assert (receipt.number, receipt.total, receipt.log) == (1, 1, "logs.csv")

    def test_a_renamed_column_is_another_column(self, log, flag_dir):
        """Rows do not go under a header that a person changed."""
        flag_text(log, 0)
        path = flag_dir / "logs.csv"
        path.write_bytes(path.read_bytes().replace(b"score", b"marks"))
        flag_text(log, 1)

        assert rows(path) == [["hello", "answer 0", "0"]]
        assert rows(flag_dir / "logs-2.csv") == [["hello", "answer 1", "1"]]

    def test_a_directory_that_was_moved_goes_on(self, log, flag_dir, tmp_path):
        """A directory may be moved with its bookkeeping, and the old place begins anew."""
        flag_image(log, 0)
        flag_dir.rename(tmp_path / "elsewhere")
        moved = flag_image(CsvLog(tmp_path / "elsewhere"), 1)
        anew = flag_image(log, 2)

        assert (moved.number, moved.total, anew.number, anew.total) == (1, 2, 0, 1)
        assert assert_whole(tmp_path / "elsewhere") == [0, 1]

    @pytest.mark.parametrize("name", ["state", "schema.json", "numbers", "lock"])
    @pytest.mark.parametrize("damage", [b"", b"{", b"\xff\x00nonsense\n", b"[1, 2]", b'{"format": 99}'], ids=repr)
    def test_damaged_bookkeeping_is_rebuilt(self, log, flag_dir, name, damage):
        """Whatever stands in a file of the bookkeeping, flags go on and what was there stays."""
        flag_text(log, 0)
        flag_image(log, 1)
        (flag_dir / ".flagplus" / name).write_bytes(damage)

        receipt = flag_image(CsvLog(flag_dir), 2)
        flag_text(log, 3)

        assert receipt.total == 3
        assert sorted(assert_whole(flag_dir)) == [0, 1, 2, 3]
        assert len(list(flag_dir.glob("*.csv"))) == 2
        assert {"logs.csv", "logs-2.csv"} == set(read_schema(Books.of(flag_dir)))


class TestLimits:
    """There are none on a cell, a label or the number of rows in a batch."""

    @pytest.mark.parametrize("size", [200_000, 10_000_000])
    def test_a_huge_cell(self, log, flag_dir, size):
        """A cell may be as long as it likes, and everything after it still works."""
        text = 'x"\n,' * (size // 4)
        flag_text(log, 0, text=text)
        receipt = flag_text(log, 1)
        again = flag_text(CsvLog(flag_dir), 2)

        assert (receipt.total, again.total) == (2, 3)
        done = subprocess.run(
            [sys.executable, "-c", "import csv, sys; csv.field_size_limit(1 << 30);"
             "print([len(r[0]) for r in csv.reader(open(sys.argv[1], newline='', encoding='utf-8'))])",
             flag_dir / "logs.csv"],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert json.loads(done.stdout) == [6, len(text), 5, 5]

    def test_a_lone_empty_cell_is_a_row(self, flag_dir):
        """A log of one column may hold empty cells: pandas reads as many rows as there are flags."""
        import pandas as pd

        log = CsvLog(flag_dir)
        for text in ("a", "", " ", "b"):
            log.append(Entry(name_columns([Column("text")]), [text]))

        assert len(pd.read_csv(flag_dir / "logs.csv")) == 4


def test_a_log_that_another_holds_is_busy(flag_dir):
    """Who waits longer than the timeout gets LogBusy with the path; nothing is written and the next flag works."""
    log = CsvLog(flag_dir, lock_timeout=0.2)
    flag_text(log, 0)
    before = snapshot(flag_dir)
    with FileLock(flag_dir / ".flagplus/lock"), pytest.raises(LogBusy, match="lock"):
        flag_text(log, 1)

    assert snapshot(flag_dir) == before
    assert flag_text(log, 2).total == 2


def test_an_unwritable_place_is_named(tmp_path):
    """Where the directory cannot be made, the error is an OSError that names the path and says what became of it."""
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(LogNotWritable, match="is as it was") as caught:
        flag_text(CsvLog(tmp_path / "file" / "flagged"), 0)

    assert isinstance(caught.value, OSError)
    assert "file" in str(caught.value.path)


def test_fsync_comes_in_the_order_that_makes_a_flag_durable(flag_dir, monkeypatch):
    """Staged files, then the folders of their names, then the log, then a new log's folder."""
    happened: list[str] = []
    real_fsync, real_link, real_write = os.fsync, os.link, os.write

    def where(descriptor: int) -> str:
        path = Path(os.readlink(f"/proc/self/fd/{descriptor}"))
        name = path.relative_to(flag_dir).as_posix() if path != flag_dir and flag_dir in path.parents else path.name
        return re.sub(r"staging/.*", "staged", name)

    monkeypatch.setattr(os, "fsync", lambda fd: (happened.append(f"fsync {where(fd)}"), real_fsync(fd))[1])
    monkeypatch.setattr(
        os, "link", lambda a, b, **k: (happened.append(f"link {Path(b).name}"), real_link(a, b, **k))[1]
    )
    monkeypatch.setattr(os, "write", lambda fd, b: (happened.append(f"write {where(fd)}"), real_write(fd, b))[1])
    monkeypatch.setattr(
        files, "_write", lambda fd, b, at: (happened.append(f"write {where(fd)}"), os.pwrite(fd, b, at))[1]
    )
    if not Path("/proc/self/fd").exists():
        pytest.skip("descriptors have no names here")
    log = CsvLog(flag_dir)
    flag_image(log, 0)
    first, happened[:] = [step for step in happened if "state" not in step], []
    flag_image(log, 1)

    assert happened == [
        "fsync .flagplus/staged", "fsync .flagplus/staged", "write .flagplus/state", "link 1.png", "link 1.png",
        *happened[5:7], "write logs.csv", "fsync logs.csv", "write .flagplus/state",
    ]  # fmt: skip
    assert set(happened[5:7]) == {"fsync im", "fsync Output"}
    tail = first[first.index("write logs.csv") :]
    assert tail == ["write logs.csv", "fsync logs.csv", "fsync flagged"]
    assert first.index("fsync .flagplus/staged") < first.index("link 0.png") < first.index("fsync im")
    assert first.index("fsync im") < first.index("write logs.csv")


def test_without_fsync_none_is_called(flag_dir, monkeypatch):
    """`fsync=False` calls none at all."""
    monkeypatch.setattr(os, "fsync", lambda _: pytest.fail("fsync was called"))
    log = CsvLog(flag_dir, fsync=False)
    flag_image(log, 0)
    flag_text(log, 1)
    (flag_dir / "logs.csv").write_bytes((flag_dir / "logs.csv").read_bytes()[:-3])
    flag_image(log, 2)

    assert sorted(assert_whole(flag_dir)) == [1, 2]


@pytest.mark.parametrize("missing", ["link", "lock", "append", "folder fsync", "fsync"])
def test_a_poor_file_system_is_made_do_with(flag_dir, monkeypatch, missing):
    """Without hard links, file locks, append, or fsync, flags are stored all the same, and none is lost."""
    import errno

    from gradio_flagplus import lock

    def unsupported(*args, **kwargs):
        raise OSError(errno.ENOTSUP, "Operation not supported")

    real_open, real_fsync = os.open, os.fsync
    if missing == "link":
        monkeypatch.setattr(os, "link", unsupported)
    elif missing == "lock":
        monkeypatch.setattr(lock, "lock_descriptor", unsupported)
    elif missing == "append":
        monkeypatch.setattr(os, "open", lambda p, f, *a: unsupported() if f & os.O_APPEND else real_open(p, f, *a))
    elif missing == "folder fsync":
        monkeypatch.setattr(
            os, "fsync", lambda fd: unsupported() if os.path.isdir(f"/proc/self/fd/{fd}") else real_fsync(fd)
        )
    else:
        monkeypatch.setattr(os, "fsync", unsupported)
    log = CsvLog(flag_dir)
    for number in range(3):
        flag_image(log, number)
    flag_text(CsvLog(flag_dir), 3)
    flag_image(log, 4)

    assert sorted(assert_whole(flag_dir)) == [0, 1, 2, 3, 4]
    assert not orphans(flag_dir)
    assert staged(flag_dir) == []


def test_without_hard_links_nothing_is_overwritten_either(log, flag_dir, monkeypatch):
    """Where a rename has to serve, a name that is taken is still left alone and the staged file still found."""
    import errno

    def unsupported(*args, **kwargs):
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", unsupported)
    (flag_dir / "Output").mkdir(parents=True)
    (flag_dir / "Output/0.png").write_bytes(b"mine")
    flag_image(log, 0)

    assert (flag_dir / "Output/0.png").read_bytes() == b"mine"
    assert rows(flag_dir / "logs.csv") == [["prompt 0", "im/1.png", "Output/1.png"]]
    assert published(flag_dir) == ["Output/0.png", "Output/1.png", "im/1.png"]


def test_a_flag_that_is_at_fault_alone_fails_alone(flag_dir):
    """In a batch, a flag whose staged file is gone fails with its path, and the others are stored."""
    log = CsvLog(flag_dir)
    flag_text(log, 0)
    gone = Entry(IMAGE, ["p", FileCell(("", ""), (StagedFile(flag_dir / "gone.png", ".png"),)), ""])
    errors: list[Exception] = []

    def flag_gone() -> None:
        try:
            log.append(gone)
        except LogNotWritable as error:
            errors.append(error)

    with FileLock(flag_dir / ".flagplus/lock"):  # everybody arrives while somebody else writes
        threads = [threading.Thread(target=flag_text, args=(log, number)) for number in range(1, 6)]
        threads.insert(2, threading.Thread(target=flag_gone))
        other = CsvLog(flag_dir)
        leader = threading.Thread(target=flag_image, args=(log, 6))
        for thread in (leader, *threads):
            thread.start()
    for thread in (leader, *threads):
        thread.join()

    assert len(errors) == 1
    assert "gone.png" in str(errors[0].__cause__.filename)
    assert sorted(assert_whole(flag_dir)) == list(range(7))
    assert not orphans(flag_dir)
    assert flag_text(other, 7).total == 8


@pytest.mark.parametrize("empty_log", [False, True], ids=["no log", "an empty log"])
def test_a_batch_may_begin_several_logs(flag_dir, empty_log):
    """Flags with other columns that wait for the same lock go to a log each, from the first batch on."""
    log = CsvLog(flag_dir)
    if empty_log:
        flag_dir.mkdir()
        (flag_dir / "logs.csv").touch()
    gone = FileCell(("", ""), (StagedFile(flag_dir / "gone.png", ".png"),))
    entries = [
        Entry(IMAGE, ["prompt 0", "", gone]),
        Entry(TEXT, ["hello", "answer 1", "1"]),
        Entry(IMAGE, ["prompt 2", "", ""]),
        Entry(TEXT, ["hello", "answer 3", "3"]),
    ]
    tickets = [Ticket(entry) for entry in entries]
    log._commit(tickets)

    assert [ticket.error is None for ticket in tickets] == [False, True, True, True]
    assert rows(flag_dir / "logs.csv") == [["prompt 2", "", ""]]
    assert rows(flag_dir / "logs-2.csv") == [["hello", "answer 1", "1"], ["hello", "answer 3", "3"]]
    assert flag_text(log, 4).total == 4


def test_a_log_that_could_not_be_begun_leaves_its_name_free(flag_dir):
    """If the only flag of a batch fails, the next flag begins the first log, whatever its columns."""
    log = CsvLog(flag_dir)
    with pytest.raises(LogNotWritable):
        log.append(Entry(IMAGE, ["p", FileCell(("", ""), (StagedFile(flag_dir / "gone.png"),)), ""]))
    flag_text(log, 1)

    assert rows(flag_dir / "logs.csv") == [["hello", "answer 1", "1"]]


def test_waiting_threads_share_a_write_and_an_fsync(flag_dir, monkeypatch):
    """Threads that wait for each other are committed in one batch."""
    log = CsvLog(flag_dir)
    flag_text(log, 0)
    syncs: list[int] = []
    real = os.fsync
    monkeypatch.setattr(os, "fsync", lambda fd: (syncs.append(fd), real(fd))[1])
    other = FileLock(flag_dir / ".flagplus/lock")
    with other:
        threads = [threading.Thread(target=flag_text, args=(log, number)) for number in range(1, 33)]
        for thread in threads:
            thread.start()
        while len(log._group._queue) < 31:
            threading.Event().wait(0.001)
    for thread in threads:
        thread.join()

    assert sorted(assert_whole(flag_dir)) == list(range(33))
    assert len(syncs) == 2  # the one who waited for the lock, and all the others


def test_a_forked_child_begins_afresh(flag_dir):
    """Parent and child may both flag after a fork: no number is given twice, no row is lost."""
    if not hasattr(os, "fork"):
        pytest.skip("no fork here")
    log, told = CsvLog(flag_dir), flag_dir.parent
    given = [flag_text(log, 0).number]
    children = []
    for place in range(4):
        child = os.fork()
        if child == 0:
            try:
                numbers = [flag_text(log, 100 * (place + 1) + number).number for number in range(60)]
                (told / f"{place}.json").write_text(json.dumps(numbers))
            finally:
                os._exit(0)
        children.append(child)
    given += [flag_text(log, number).number for number in range(1, 61)]
    for child in children:
        os.waitpid(child, 0)
    for place in range(4):
        given += json.loads((told / f"{place}.json").read_text())

    assert sorted(given) == list(range(301))
    assert len(assert_whole(flag_dir)) == 301
    assert flag_text(log, 999).total == 302


def test_links_to_the_cache_share_its_bytes_and_copies_do_not(log, flag_dir, tmp_path):
    """A staged link is the source file itself under a second name; without `link` it is a copy."""
    source = tmp_path / "cached.png"
    source.write_bytes(b"bytes")
    with log.staging() as staging, open(source, "rb") as file:
        linked = staging.copy(file, ".png", link=True)
        file.seek(0)
        copied = staging.copy(file, ".png")
        assert linked.path.samefile(source)
        assert not copied.path.samefile(source)
        assert copied.path.read_bytes() == linked.path.read_bytes() == b"bytes"

    assert source.read_bytes() == b"bytes"
    assert staged(flag_dir) == []


def test_a_source_swapped_under_the_link_is_copied_from_the_open_file(log, tmp_path):
    """If the name leads elsewhere by the time the link is taken, the bytes come from the file that was opened."""
    source = tmp_path / "cached.png"
    source.write_bytes(b"judged")
    with log.staging() as staging, open(source, "rb") as file:
        source.rename(tmp_path / "away.png")
        (tmp_path / "secret").write_bytes(b"secret")
        (tmp_path / "cached.png").symlink_to(tmp_path / "secret")
        assert staging.copy(file, ".png", link=True).path.read_bytes() == b"judged"


def test_staging_says_whose_it_is(log, flag_dir):
    """A staged file's name tells the process that made it."""
    with log.staging() as staging:
        path = staging.write(b"x").path
        assert files.staged_by(path.name) == os.getpid()
    assert files.staged_by("something else.png") is None
