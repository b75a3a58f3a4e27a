"""Labels become headers and folders that are safe, distinct and readable."""

from __future__ import annotations

import os
import unicodedata

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gradio_flagplus.bookkeeping import LogNames
from gradio_flagplus.columns import Column, components_of, guess_columns, name_columns, recognise, safe_folder

LABELS = st.one_of(
    st.text(max_size=40),
    st.text(st.sampled_from("./\\:*?\"<>| '=+-@\t\r\n\0\ud800.csvCON\u202e\u200b\u0301é😀＝"), max_size=8),  # noqa: RUF001
    st.sampled_from(
        ["CON", "con.txt", "aux", "COM1", "lpt¹", "logs.csv", ".flagplus", "..", ".", "", "a/b", "x" * 300]
    ),
)
WORST = [
    ("../../evil", "_.._evil"),
    ("a/b", "a_b"),
    ("a\\b", "a_b"),
    ("CON", "CON_"),
    ("con.txt", "con_.txt"),
    ("COM1", "COM1_"),
    ("nul ", "nul_"),
    ("logs.csv", "logs.csv_"),
    ("LOGS-2.CSV", "LOGS-2.CSV_"),
    (".flagplus", "flagplus"),
    ("..", "files"),
    (".", "files"),
    ("", "files"),
    ("/", "files"),
    ("\0", "files"),
    ("im", "im"),
    ("Output", "Output"),
    ("What is it?", "What is it_"),
    ("=1+1", "1+1"),
    ("-5", "5"),
    ("'x", "x"),
    ("x.", "x"),
    ("x ", "x"),
    ("cat 🐱", "cat 🐱"),
    ("🐱", "🐱"),
    ("Größe", "Größe"),
    ("画像", "画像"),
    ("a\tb\nc", "a_b_c"),
    ("a\u202eb", "a_b"),
    ("x" * 300, "x" * 100),
    ("é" * 300, "é" * 50),
    ("🐱" * 300, "🐱" * 25),
]


@pytest.mark.parametrize(("label", "folder"), WORST)
def test_a_folder_is_safe_and_readable(label, folder):
    """A label's folder keeps what it can of the label and nothing that hurts."""
    assert safe_folder(label) == folder


def is_safe(folder: str) -> bool:
    stem = folder.partition(".")[0].rstrip().casefold()
    reserved = stem in {"con", "prn", "aux", "nul", "conin$", "conout$"} or (
        stem[:3] in ("com", "lpt") and stem[3:] in set("0123456789¹²³")
    )
    bad = set('<>:"/\\|?*') | {chr(code) for code in range(32)}
    return (
        0 < len(folder.encode()) <= 100
        and not reserved
        and not bad & set(folder)
        and folder[0] not in ".=+-@'[{ ＝＋－＠"  # noqa: RUF001
        and folder[-1] not in ". "
        and not folder.casefold().endswith(".csv")
        and LogNames("logs.csv").place(folder) is None
        and os.path.basename(folder) == folder
    )


@settings(max_examples=1000, deadline=None)
@given(st.lists(LABELS, max_size=8))
@example(["a", "A", "a_1", "A"])
@example(["x" * 300, "x" * 301, "X" * 300, "x" * 100])
@example(["a\u030a", "å", "Å"])
@example(["", "files", "FILES", "files_1"])
@example(["logs.csv", "logs.csv_", "LOGS.CSV"])
@example(["CON", "con_"])
@example(["x" * 99 + "😀", "x" * 99])
@example(["ß", "SS", "ẞ"])
def test_columns_are_distinct_and_safe(labels):
    """Whatever the labels: no two headers alike, no two folders alike when case and Unicode form are ignored."""
    columns = name_columns(Column(label) for label in labels)
    folders = [column.folder for column in columns]

    assert len({column.name for column in columns}) == len(labels)
    assert len({same(folder) for folder in folders}) == len(labels)
    assert [folder for folder in folders if not is_safe(folder)] == []
    assert name_columns(columns) == columns


def same(folder: str) -> str:
    """What a file system that ignores case and Unicode form (macOS's) takes for one name."""
    return unicodedata.normalize("NFD", unicodedata.normalize("NFD", folder).casefold())


@settings(max_examples=200, deadline=None)
@given(st.lists(LABELS, min_size=1, max_size=6))
def test_folders_can_be_made(tmp_path_factory, labels):
    """Every folder can be made inside the flagging directory, beside its logs, and is there once."""
    directory = tmp_path_factory.mktemp("flagged")
    (directory / "logs.csv").touch()
    (directory / ".flagplus").mkdir()

    for column in name_columns(Column(label, "file") for label in labels):
        folder = directory / column.folder
        folder.mkdir()
        assert folder.resolve().parent == directory.resolve()

    assert len(list(directory.iterdir())) == len(labels) + 2


def test_headers_are_the_labels():
    """A header is its label, a taken one gets a number; headers are told apart by case."""
    named = name_columns(map(Column, ["x", "x", "X", "x_1", "x", "../..", "a\0b"]))

    assert [column.name for column in named] == ["x", "x_1", "X", "x_1_1", "x_2", "../..", "a\ufffdb"]


def test_meta_columns_have_no_folder():
    """Only components have files."""
    assert [column.folder for column in name_columns([Column("flag", role="reasons"), Column("flag")])] == [
        "",
        "flag_1",
    ]


def test_a_column_survives_its_json():
    """What schema.json keeps of a column is the column."""
    column = Column("x", "file", "component", "x_1", "image", "input")

    assert Column.from_json(column.to_json()).to_json() == column.to_json()
    for wrong in ({"name": 5}, {"name": "x", "kind": "no"}, {"name": "x", "role": "no"}, {}):
        with pytest.raises((TypeError, ValueError)):
            Column.from_json(wrong)


def test_a_header_without_bookkeeping_tells_its_columns():
    """Meta columns are known by name and order; the first column is always a component's."""
    header = [
        "flag",
        "comment",
        "x",
        "flag: wrong",
        "flag: blurry",
        "flag",
        "comment",
        "username",
        "model",
        "id",
        "timestamp",
    ]
    roles = [column.role for column in guess_columns(header)]

    assert roles[:3] == ["component"] * 3
    assert roles[3:] == ["reason", "reason", "reasons", "comment", "username", "extra", "id", "timestamp"]
    assert components_of(guess_columns(header)) == tuple(guess_columns(header)[:3])
    assert recognise(["a", "b"], [Column("a")], []) is None
    assert recognise(["a", "flag"], [Column("a", "json")], []) == (Column("a", "json"), Column("flag", role="reasons"))
