"""Going through flags without a page: the same flags as the reader's, filtered, while the logs grow and change."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gradio_flagplus.bookkeeping import Numbers
from gradio_flagplus.browse import Catalogue, Filter
from gradio_flagplus.columns import Column, name_columns
from gradio_flagplus.decisions import decide
from gradio_flagplus.index import numbers_of
from gradio_flagplus.log import CsvLog, Entry
from gradio_flagplus.reader import read_flags

PLAIN = name_columns([Column("text"), Column("im", "file"), Column("data", "json")])
METAS = {
    "reasons": Column("flag", "text", "reasons"),
    "comment": Column("comment", "text", "comment"),
    "username": Column("username", "text", "username"),
    "timestamp": Column("timestamp", "text", "timestamp"),
}


@pytest.fixture
def flag(flag_dir: Path) -> Callable[..., int]:
    """Store a flag; returns its number."""
    log = CsvLog(flag_dir, fsync=False)

    def store(text: str, *, columns: tuple[Column, ...] = PLAIN, picture: bool = False, **meta: str) -> int:
        with log.staging() as staging:
            from gradio_flagplus.cells import cell_of

            image = cell_of(staging.write(b"png", ".png"), "file") if picture else ""
            cells = [text, image, ""][: len(columns)]
            return log.append(Entry(columns, cells, {METAS[role]: said for role, said in meta.items()})).number

    return store


@pytest.fixture
def catalogue(flag_dir: Path) -> Catalogue:
    return Catalogue(flag_dir)


def found(catalogue: Catalogue, **wanted: Any) -> list[int]:
    """The numbers of the flags that a filter lets through, oldest first."""
    snapshot = catalogue.look()
    return snapshot.table["number"][catalogue.find(snapshot, Filter(**wanted))].tolist()


def same_as_read(catalogue: Catalogue) -> bool:
    """Whether the catalogue has the flags that the reader gives, in the same order."""
    snapshot = catalogue.look()
    mine = [snapshot.flag(place) for place in range(len(snapshot))]
    return [(f.number, f.log, f.row, list(f.texts)) for f in mine] == [
        (f.number, f.log, f.row, list(f.texts)) for f in read_flags(catalogue.directory)
    ]


def test_a_directory_that_is_not_there_has_no_flags(catalogue: Catalogue, flag_dir: Path) -> None:
    """Nothing is made by looking, and what comes later is seen."""
    assert len(catalogue.look()) == 0
    assert not flag_dir.exists()


def test_it_knows_the_flags_that_the_reader_gives(catalogue: Catalogue, flag: Callable[..., int]) -> None:
    """Any text, files, several logs that took turns: number, log, row and cells are the reader's."""
    for text in ["plain", 'a "quoted", text', "two\r\nlines", "=1+1", "'apostrophe", "", "é中"]:
        flag(text, picture=True, reasons="wrong")
        flag(text, columns=PLAIN[:1])
        flag(text, comment=text)

    assert len(catalogue.look()) == 21
    assert same_as_read(catalogue)


def test_it_grows_with_the_logs(catalogue: Catalogue, flag: Callable[..., int]) -> None:
    """Flags that came after the first look are there at the next, also in a log that was begun since."""
    flag("first")
    assert len(catalogue.look()) == 1
    flag("second", reasons="wrong")
    flag("third", columns=PLAIN[:1])

    assert len(catalogue.look()) == 3
    assert same_as_read(catalogue)


def test_a_snapshot_stays_what_it_was(catalogue: Catalogue, flag: Callable[..., int]) -> None:
    """What one reviewer looks at does not move while others flag."""
    flag("first")
    before = catalogue.look()
    flag("second")
    catalogue.look()

    assert len(before) == 1
    assert before.flag(0)["text"] == "first"


def test_half_a_row_is_not_there_yet(catalogue: Catalogue, flag: Callable[..., int], flag_dir: Path) -> None:
    """A row that is still being written is not shown, and is once it is whole."""
    flag("first")
    with open(flag_dir / "logs.csv", "ab") as log:
        log.write(b'"half a')
        log.flush()
        assert len(catalogue.look()) == 1
        log.write(b' row",,\r\n')
    assert same_as_read(catalogue)
    assert len(catalogue.look()) == 2


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda log: log.write_bytes(log.read_bytes().replace(b"second", b"2nd")), id="edited"),
        pytest.param(lambda log: log.write_bytes(log.read_bytes().replace(b"second", b"twelve")), id="same-length"),
        pytest.param(lambda log: os.truncate(log, len(log.read_bytes().split(b"second")[0])), id="cut"),
        pytest.param(lambda log: log.unlink(), id="gone"),
        pytest.param(lambda log: log.rename(log.with_name("other.txt")), id="renamed"),
    ],
)
def test_a_log_that_somebody_changed_is_read_anew(
    catalogue: Catalogue, flag: Callable[..., int], flag_dir: Path, change: Callable[[Path], Any]
) -> None:
    """Whatever was done to a log by hand, the next look tells what is there now."""
    for text in ("first", "second", "third"):
        flag(text, reasons="wrong")
    assert found(catalogue, text="second") == [1]

    change(flag_dir / "logs.csv")

    assert same_as_read(catalogue)
    assert found(catalogue, text="second") == [f.number for f in read_flags(flag_dir) if "second" in f.texts[0].lower()]


def test_numbers_are_the_readers_without_bookkeeping(
    catalogue: Catalogue, flag: Callable[..., int], flag_dir: Path
) -> None:
    """Where the bookkeeping is gone the files tell the numbers, here as there."""
    flag("no picture")
    flag("elsewhere", columns=PLAIN[:1])
    for _ in range(3):
        flag("a picture", picture=True)
    flag("no picture again")
    for path in (flag_dir / ".flagplus").glob("[sn]*"):
        if path.is_file():
            path.unlink()

    assert same_as_read(catalogue)


def test_a_log_by_hand_is_read_as_the_reader_does(catalogue: Catalogue, flag_dir: Path) -> None:
    """Rows of another width, blank lines, stray quotes and bare line feeds cost no row its place."""
    flag_dir.mkdir()
    (flag_dir / "logs.csv").write_bytes(b'a,b,flag\n1,2,wrong\n1\n\n1,2,3,4\n5" pipe,x,"y"\n"q, r",s,t\n')

    assert same_as_read(catalogue)
    assert len(catalogue.look()) == 6


def test_reasons_users_times_and_texts_filter(catalogue: Catalogue, flag: Callable[..., int]) -> None:
    """Each filter alone, and all of them together."""
    flag("red", reasons="wrong", username="ann", timestamp="2026-01-01T10:00:00.000+00:00")
    flag("blue", reasons="wrong|blurry", username="bob", timestamp="2026-01-02T10:00:00.000+00:00")
    flag("red blue", reasons="", username="ann", timestamp="2026-01-03T10:00:00.000+00:00")
    flag("green", reasons="off", username="", timestamp="")
    second = datetime(2026, 1, 2, tzinfo=timezone.utc)

    assert found(catalogue) == [0, 1, 2, 3]
    assert found(catalogue, reasons=("blurry",)) == [1]
    assert found(catalogue, reasons=("wrong", "off")) == [0, 1, 3]
    assert found(catalogue, username="ann") == [0, 2]
    assert found(catalogue, username="nobody") == []
    assert found(catalogue, since=second) == [1, 2]
    assert found(catalogue, until=second) == [0]
    assert found(catalogue, text="BLUE") == [1, 2]
    assert found(catalogue, text="blue", username="ann", since=second) == [2]


@pytest.mark.parametrize("text", ["ÄRGER", "ärger", 'say "hi"', "a, b", "=1+1", "50%", "[x]", "中文", "x.y", "Straße"])
def test_text_is_found_as_it_was_typed(catalogue: Catalogue, flag: Callable[..., int], text: str) -> None:
    """Case, quotes, commas, signs and any alphabet: what stands in a row is found, and nothing else."""
    flag("something else xzy")
    flag(f"before {text} after")
    flag("", comment=text.lower())

    assert found(catalogue, text=text) == [1, 2]


def test_text_is_looked_for_in_what_came_since(catalogue: Catalogue, flag: Callable[..., int]) -> None:
    """An answer that is remembered grows with the log."""
    flag("needle")
    assert found(catalogue, text="needle") == [0]
    flag("hay")
    flag("needle")
    flag("needle", columns=PLAIN[:1])

    assert found(catalogue, text="needle") == [0, 2, 3]


def test_decisions_filter(catalogue: Catalogue, flag: Callable[..., int], flag_dir: Path) -> None:
    """The latest decision counts, an empty one takes it back, and all of it is seen at the next look."""
    for text in "abcd":
        flag(text)
    decide(flag_dir, 1, "accepted", "fine", "ann")
    decide(flag_dir, 2, "accepted")
    assert found(catalogue, decision="accepted") == [1, 2]
    decide(flag_dir, 2, "rejected")
    decide(flag_dir, 1, "")

    assert found(catalogue, decision="accepted") == []
    assert found(catalogue, reviewed=True) == [2]
    assert found(catalogue, reviewed=False) == [0, 1, 3]
    assert catalogue.decision(1) is None
    decision = catalogue.decision(2)
    assert decision is not None
    assert decision.decision == "rejected"


def test_reviews_are_no_flags(catalogue: Catalogue, flag: Callable[..., int], flag_dir: Path) -> None:
    """The decisions lie in the same directory and are not flags."""
    flag("a")
    decide(flag_dir, 0, "accepted")

    assert len(catalogue.look()) == 1


def test_counts_are_of_what_was_found(catalogue: Catalogue, flag: Callable[..., int]) -> None:
    """A flag with two reasons counts for both, and one without a time is not in time."""
    flag("a", reasons="wrong|blurry", timestamp="2026-01-01T10:00:00.000+00:00")
    flag("b", reasons="wrong", timestamp="")
    flag("c", reasons="", timestamp="")
    snapshot = catalogue.look()

    assert snapshot.reason_counts(np.arange(3)) == {"wrong": 2, "blurry": 1}
    assert snapshot.reason_counts(np.array([2])) == {}
    assert snapshot.moments(np.arange(3)).tolist() == [datetime(2026, 1, 1, 10)]
    assert snapshot.reason_names() == ["blurry", "wrong"]


def test_numbers_count_on_where_nothing_else_is_said() -> None:
    """The short way to the numbers of many rows gives what asking for each one gives."""
    numbers = Numbers([(3, "logs.csv", 2), (4, "logs.csv", 3), (90, "logs.csv", 40), (7, "logs-2.csv", 0)])

    for log in ("logs.csv", "logs-2.csv", "logs-3.csv"):
        assert numbers_of(numbers, log, 1, 60).tolist() == [numbers.of(log, row) for row in range(1, 60)]
    assert numbers_of(numbers, "logs.csv", 5, 5).tolist() == []
