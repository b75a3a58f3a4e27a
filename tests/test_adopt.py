"""Taking over what Gradio's own loggers wrote."""

from __future__ import annotations

import csv
import json
import os
import shutil
from datetime import datetime, timezone
from pathlib import Path

import pytest
from PIL import Image

from gradio_flagplus.adopt import NothingToAdopt, adopt_logs
from gradio_flagplus.columns import Column
from gradio_flagplus.integrity import check
from gradio_flagplus.log import CsvLog, Entry
from gradio_flagplus.reader import Flag, read_flags


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "old"
    folder.mkdir()
    return folder


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "new"


@pytest.fixture
def warnings() -> list[str]:
    return []


def write_log(path: Path, *rows: list[str]) -> None:
    with open(path, "a", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)


def put_image(path: Path, color: str = "red") -> bytes:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (2, 2), color).save(path)
    return path.read_bytes()


def flags(directory: Path) -> list[Flag]:
    return list(read_flags(directory))


def snapshot(folder: Path) -> dict[str, tuple[bytes, int]]:
    return {
        str(p.relative_to(folder)): (p.read_bytes(), p.stat().st_mtime_ns) for p in folder.rglob("*") if p.is_file()
    }


T = "2024-05-06 07:08:09.123456"


def without_id(flag: Flag) -> dict[str, object]:
    return {name: value for name, value in flag.values.items() if name != "id"}


# ---- by the real loggers of the installed Gradio


@pytest.fixture
def gradio():
    return pytest.importorskip("gradio")


def image_payload(gradio, tmp_path: Path, color: str) -> dict[str, object]:
    path = tmp_path / "cache" / f"{color}.png"
    put_image(path, color)
    return {"path": str(path), "orig_name": f"{color}.png", "meta": {"_type": "gradio.FileData"}}


@pytest.mark.parametrize("name", ["CSVLogger", "ClassicCSVLogger"])
def test_a_log_of_gradios_own_logger_comes_over_whole(gradio, name, tmp_path, source, target, warnings):
    """What the installed Gradio's logger was given is what is read back: values, pixels, reasons, users, times."""
    if not hasattr(gradio.flagging, name):
        pytest.skip(f"this Gradio has no {name}")
    logger = getattr(gradio.flagging, name)()
    components = [
        gradio.Image(label="im"),
        gradio.Textbox(label="say, what?"),
        gradio.Number(label="n"),
        gradio.Checkbox(label="yes"),
        gradio.JSON(label="data"),
        gradio.Gallery(label="many"),
    ]
    logger.setup(components, source)
    many = [{"image": image_payload(gradio, tmp_path, "blue"), "caption": "sky"}]
    texts = ["- item", "plain, text", "=1+1", "a,-b", "Zeile\nzwei\r\n", "é ☃"]
    for place, text in enumerate(texts):
        values = [image_payload(gradio, tmp_path, "red"), text, -1.5 - place, place % 2 == 0, {"a": [1, -2]}, many]
        logger.flag(values, flag_option="wrong", username="ann" if place else None)

    before = snapshot(source)
    result = adopt_logs(source, target, warn=warnings.append)

    assert (result.rows, result.left_out, result.missing, warnings) == (len(texts), 0, 0, [])
    assert snapshot(source) == before
    assert check(target) == []
    for place, (flag, text) in enumerate(zip(flags(target), texts, strict=True)):
        assert flag["say, what?"] == text
        assert flag["n"] == -1.5 - place
        assert flag["yes"] is (place % 2 == 0)
        assert flag["data"] == {"a": [1, -2]}
        assert flag["im"].read_bytes() == (tmp_path / "cache" / "red.png").read_bytes()
        assert Path(flag["many"][0]["image"]).read_bytes() == (tmp_path / "cache" / "blue.png").read_bytes()
        assert flag["many"][0]["caption"] == "sky"
        assert flag.reasons == ("wrong",)
        assert flag.username == ("ann" if place else None)
        assert abs((flag.timestamp - datetime.now(timezone.utc)).total_seconds()) < 300


def test_file_data_left_as_it_was_is_a_file(gradio, tmp_path, source, target):
    """A logger that did not simplify FileData left JSON in the cell; the file in it comes over as a file."""
    kind = getattr(gradio.flagging, "ClassicCSVLogger", gradio.flagging.CSVLogger)
    logger = kind(simplify_file_data=False)
    logger.setup([gradio.Image(label="im")], source)
    logger.flag([image_payload(gradio, tmp_path, "red")], flag_option="")

    adopt_logs(source, target)

    assert flags(target)[0]["im"].read_bytes() == (tmp_path / "cache" / "red.png").read_bytes()
    assert (target / "im" / "0.png").is_file()


# ---- older formats, and what went wrong in them


def test_the_guides_log_comes_over_with_its_files(source, target):
    """The guide's old `logs.csv` has relative paths and no time; a flag of it becomes a flag of ours."""
    data = put_image(source / "im" / "0.png")
    put_image(source / "Output" / "0.png", "blue")
    write_log(source / "logs.csv", ["im", "Output", "flag"], ["im/0.png", "Output/0.png", "wrong"])

    adopt_logs(source, target)

    (flag,) = flags(target)
    assert flag["im"] == target / "im" / "0.png"
    assert flag["im"].read_bytes() == data
    assert (flag.reasons, flag.timestamp) == (("wrong",), None)
    assert read_flags(target).columns == ("im", "Output", "flag", "id")


def test_nothing_is_added_that_nobody_asked_for(source, target):
    """Reasons and users that no row has make no column."""
    write_log(source / "log.csv", ["a", "flag", "username", "timestamp"], ["x", "", "", T])

    adopt_logs(source, target)

    assert read_flags(target).columns == ("a", "id", "timestamp")


@pytest.mark.parametrize(
    ("header", "row", "expected"),
    [
        pytest.param(["a", "timestamp"], ["x", "ann", T], ((), "ann"), id="late user"),
        pytest.param(
            ["a", "flag", "timestamp"], ["x", "bad", "ann", T], (("bad",), "ann"), id="late user beside reason"
        ),
        pytest.param(["a", "timestamp"], ["x", "bad", "ann", T], (("bad",), "ann"), id="late user and reason"),
        pytest.param(["a", "flag", "username", "timestamp"], ["x", "bad", T], (("bad",), None), id="no user any more"),
        pytest.param(["a", "username", "timestamp"], ["x", T], ((), None), id="no user at all"),
    ],
)
def test_ragged_rows_are_put_right(source, target, header, row, expected):
    """A row with more or fewer cells than its header, as CSVLogger writes it, says what it was meant to say."""
    write_log(source / "dataset1.csv", header, row)

    adopt_logs(source, target)

    (flag,) = flags(target)
    assert flag["a"] == "x"
    assert (flag.reasons, flag.username) == expected
    assert flag.timestamp is not None


def test_rows_that_fit_in_no_way_are_left_out_and_told(source, target, warnings):
    """A row that nobody can make sense of is not guessed at: it is left out, with its place, and the others come."""
    write_log(
        source / "dataset1.csv", ["a", "b", "timestamp"], ["x", "y", T], ["x"], ["x", "y", "no time"], ["z", "y", T]
    )
    with open(source / "dataset1.csv", "a") as file:
        file.write('torn,"half')

    result = adopt_logs(source, target, warn=warnings.append)

    assert [flag["a"] for flag in flags(target)] == ["x", "z"]
    assert result.left_out == len(warnings) == 3
    assert "row 2" in warnings[0]


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        ("'- item", "- item"),
        ("'a,-b", "a,-b"),
        ("'\nx", "\nx"),
        ("'quoted'", "'quoted'"),
        ("' =1", "' =1"),
        ("''a,=b", "'a,=b"),
        ("=raw", "=raw"),
    ],
)
def test_escapes_of_gradio_are_undone_and_no_other(source, target, cell, text):
    """One `'` that Gradio put there is taken off; what it cannot have put there stays."""
    write_log(source / "log.csv", ["a", "flag", "username", "timestamp"], [cell, "", "", T])

    adopt_logs(source, target)

    assert flags(target)[0]["a"] == text


def test_a_moved_directory_keeps_its_files(source, target):
    """Absolute paths that led to where the directory once was are found where it is now."""
    data = put_image(source / "im" / "0a1b2c3d4e5f60718293" / "cat.png")
    gone = "/home/somebody/app/.gradio/flagged/im/0a1b2c3d4e5f60718293/cat.png"
    write_log(source / "dataset1.csv", ["im", "timestamp"], [gone, T])

    adopt_logs(source, target)

    assert flags(target)[0]["im"].read_bytes() == data


def test_a_file_that_is_gone_leaves_an_empty_cell_and_a_warning(source, target, warnings):
    """A row whose file is gone comes over without it."""
    put_image(source / "im" / "0a1b2c3d4e5f60718293" / "cat.png")
    paths = [str(source / "im" / folder / "cat.png") for folder in ("0a1b2c3d4e5f60718293", "ffffffffffffffffffff")]
    write_log(source / "dataset1.csv", ["im", "timestamp"], *([path, T] for path in paths))

    result = adopt_logs(source, target, warn=warnings.append)

    assert [flag["im"] is None for flag in flags(target)] == [False, True]
    assert result.missing == len(warnings) == 1
    assert "cat.png" in warnings[0]
    assert check(target) == []


def test_only_files_of_the_source_are_copied(tmp_path, source, target):
    """A log that names files elsewhere, or links out of its directory, brings nothing from there."""
    secret = tmp_path / "secret.txt"
    secret.write_text("secret")
    (source / "a" / "0a1b2c3d4e5f60718293").mkdir(parents=True)
    link = source / "a" / "0a1b2c3d4e5f60718293" / "link.txt"
    link.symlink_to(secret)
    data = json.dumps({"path": str(secret), "meta": {"_type": "gradio.FileData"}})
    rows = [
        str(secret),
        "a/../../secret.txt",
        "a/../dataset1.csv",
        f"{source}/a/../../secret.txt",
        str(link),
        data,
        "/etc/passwd",
    ]
    write_log(source / "dataset1.csv", ["a", "timestamp"], *([row, T] for row in rows))

    result = adopt_logs(source, target, warn=lambda text: None)

    assert result.files == 0
    assert not [p for p in target.rglob("*") if p.is_file() and p.read_bytes() == b"secret"]


def test_adopting_twice_adds_nothing_twice(tmp_path, source, target):
    """Rows that came over are known again: after new rows, in a copy of the source, without the bookkeeping."""
    put_image(source / "im" / "0a1b2c3d4e5f60718293" / "cat.png")
    path = str(source / "im" / "0a1b2c3d4e5f60718293" / "cat.png")
    write_log(source / "dataset1.csv", ["im", "n", "timestamp"], [path, "1", T], [path, "1", T], [path, "2", T])
    adopt_logs(source, target)
    before = snapshot(target)

    assert adopt_logs(source, target).known == 3
    assert snapshot(target) == before

    shutil.rmtree(target / ".flagplus")
    shutil.copytree(source, tmp_path / "copy")
    assert adopt_logs(tmp_path / "copy", target).known == 3

    write_log(source / "dataset1.csv", [path, "1", T], [path, "3", T])
    again = adopt_logs(source, target)
    assert (again.rows, again.known) == (2, 3)
    assert [str(flag["n"]) for flag in flags(target)] == ["1", "1", "2", "1", "3"]


def test_an_interrupted_adoption_goes_on_where_it_stopped(source, target):
    """What was taken over before an error stays, and the next call adds the rest."""
    write_log(source / "dataset1.csv", ["a", "timestamp"], *([str(i), T] for i in range(5)))

    def stop(rows: int) -> None:
        if rows == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        adopt_logs(source, target, progress=stop)
    result = adopt_logs(source, target)

    assert (result.rows, result.known) == (3, 2)
    assert [flag["a"] for flag in flags(target)] == list(range(5))


def test_a_column_keeps_its_kind_in_the_target(source, target):
    """A column that was taken for numbers takes text later on, in the same log; each cell reads as what it was."""
    write_log(source / "dataset1.csv", ["a", "a", "timestamp"], ["1", "x", T])
    adopt_logs(source, target)
    write_log(source / "dataset1.csv", ["one", "y", T], ["[2]", "z", T])

    adopt_logs(source, target)

    assert [without_id(flag) for flag in flags(target)] == [
        {"a": 1, "a_1": "x"},
        {"a": "one", "a_1": "y"},
        {"a": [2], "a_1": "z"},
    ]
    assert {flag.log for flag in flags(target)} == {"logs.csv"}


def test_a_log_of_chats_comes_over(source, target):
    """ChatCSVLogger writes a column less than its header names; what stands in the row comes over under the others."""
    header = ["conversation", "index", "value", "flag", "timestamp"]
    write_log(source / "log.csv", header, ['[{"role": "user", "content": "hi"}]', "1", "Like", T])

    adopt_logs(source, target)

    (flag,) = flags(target)
    assert without_id(flag) == {"conversation": [{"role": "user", "content": "hi"}], "index": 1, "value": "Like"}


def test_columns_become_numbers_only_if_all_cells_are(source, target):
    """A column is JSON if all its cells are; one `007` and it is text, to the letter."""
    header = ["n", "zip", "bools", "lists", "words", "timestamp"]
    rows = [["5", "10115", "True", "['a', 'b']", "null"], ["-1.50", "007", "False", "[]", "NaN"], ["", "", "", "", ""]]
    write_log(source / "log.csv", header, *([*row, T] for row in rows))

    adopt_logs(source, target)

    first, second, third = map(without_id, flags(target))
    assert first == {"n": 5, "zip": "10115", "bools": True, "lists": ["a", "b"], "words": "null"}
    assert second == {"n": -1.5, "zip": "007", "bools": False, "lists": [], "words": "NaN"}
    assert set(third.values()) == {None}
    assert b"-1.50" in (target / "logs.csv").read_bytes()


def test_logs_with_other_columns_stay_apart(source, target):
    """Each set of labels becomes a log of its own, in the order of the source."""
    write_log(source / "dataset2.csv", ["b", "timestamp"], ["2", T])
    write_log(source / "dataset10.csv", ["a", "timestamp"], ["three", T])
    write_log(source / "dataset1.csv", ["a", "timestamp"], ["1", T])

    adopt_logs(source, target)

    assert [without_id(flag) for flag in flags(target)] == [{"a": "1"}, {"b": 2}, {"a": "three"}]
    assert {flag.log for flag in flags(target)} == {"logs.csv", "logs-2.csv"}


def test_an_app_goes_on_in_the_adopted_log(source, target):
    """A flag with the same columns goes behind those that were taken over."""
    write_log(source / "dataset1.csv", ["a", "timestamp"], ["x", T])
    adopt_logs(source, target)
    columns = flags(target)[0].columns

    receipt = CsvLog(target).append(Entry(columns[:1], ["y"]))

    assert (receipt.log, receipt.number, receipt.total) == ("logs.csv", 1, 2)


def test_a_cell_of_any_length_comes_over(source, target):
    """There is no limit on the length of a cell."""
    write_log(source / "log.csv", ["a", "flag", "username", "timestamp"], ["x" * 200_000, "", "", T])

    adopt_logs(source, target)

    assert len(flags(target)[0]["a"]) == 200_000


def test_one_log_may_be_named(source, target):
    """The source may be one CSV file of any name; its files lie beside it."""
    data = put_image(source / "im" / "0.png")
    write_log(source / "mine.csv", ["im", "timestamp"], ["im/0.png", T])

    adopt_logs(source / "mine.csv", target)

    assert flags(target)[0]["im"].read_bytes() == data


@pytest.mark.parametrize("case", ["missing", "empty", "same", "headless", "ours"])
def test_what_cannot_be_adopted_is_refused(source, target, case):
    """No log, no header, the target itself or a directory of format 1: an error, and nothing is written."""
    if case == "headless":
        write_log(source / "log.csv", ["x", "y"])
    if case == "same":
        write_log(source / "dataset1.csv", ["a", "timestamp"], ["x", T])
        target = source
    if case == "ours":
        other = source / "logs.csv"
        CsvLog(source).append(Entry((Column("a"),), ["x"]))
        assert other.exists()
    before = sorted(os.listdir(source))

    with pytest.raises(NothingToAdopt):
        adopt_logs(source / "nowhere" if case == "missing" else source, target)

    assert sorted(os.listdir(source)) == before
    assert case == "same" or not target.exists()
