"""What was flagged is what is read back, from any directory that a crash, an editor or an attacker left."""

from __future__ import annotations

import csv
import gc
import os
import shutil
import subprocess
import sys
import threading
from datetime import date, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from logs import COMMENT, IMAGE, REASONS, TEXT, USERNAME, flag_image, flag_text, snapshot

from gradio_flagplus import FlagplusError, read_flags
from gradio_flagplus.cells import cell_of
from gradio_flagplus.columns import Column, clean, name_columns
from gradio_flagplus.errors import LogNotWritable
from gradio_flagplus.log import CsvLog, Entry
from gradio_flagplus.reader import Flag

TIMESTAMP = Column("timestamp", "text", "timestamp")
HOT = [Column(f"flag: {reason}", "json", "reason", reason=reason) for reason in ("wrong", "off by one")]
ALL_KINDS = name_columns([Column("text"), Column("data", "json"), Column("im", "file"), Column("gallery", "json")])


@pytest.fixture
def flags(flag_dir: Path) -> Path:
    """Six flags, in turn with files and without, in two logs."""
    log = CsvLog(flag_dir, fsync=False)
    for number in range(0, 6, 2):
        flag_image(log, number)
        flag_text(log, number + 1)
    return flag_dir


def write_log(directory: Path, data: bytes, name: str = "logs.csv") -> Path:
    directory.mkdir(exist_ok=True)
    (directory / name).write_bytes(data)
    return directory


def values(directory: Path) -> list[dict[str, object]]:
    return [dict(flag.values) for flag in read_flags(directory)]


def numbers(directory: Path) -> list[int]:
    return [flag.number for flag in read_flags(directory)]


# ---- round trips

LEAVES = st.none() | st.booleans() | st.integers(-(10**25), 10**25) | st.floats(allow_nan=False) | st.text(max_size=9)
JSON = st.recursive(LEAVES, lambda c: st.lists(c, max_size=3) | st.dictionaries(st.text(max_size=5), c, max_size=3))


def cleaned(value: object) -> object:
    """What can be stored of it: text without NUL and lone surrogates, and no empty text at the top."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, list):
        return [cleaned(child) for child in value]
    if isinstance(value, dict):
        return {cleaned(key): cleaned(child) for key, child in value.items()}
    return value


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.text(max_size=12), JSON), min_size=1, max_size=8), st.booleans())
def test_what_was_flagged_is_read_back(tmp_path_factory, rows, noted):
    """Text and JSON come back as they were; empty text as None. Numbers count on from 0."""
    directory = tmp_path_factory.mktemp("flagged")
    columns = (Column("text"), Column("data", "json"))
    log = CsvLog(directory, fsync=False)
    for text, data in rows:
        log.append(Entry(columns, [cell_of(text, "text"), cell_of(data, "json")]))
    if not noted:
        shutil.rmtree(directory / ".flagplus")

    found = list(read_flags(directory))

    assert [flag["text"] for flag in found] == [cleaned(text) or None for text, _ in rows]
    assert [flag.number for flag in found] == list(range(len(rows)))
    if noted:
        assert [flag["data"] for flag in found] == [None if data == "" else cleaned(data) for _, data in rows]
        assert [type(flag["data"]) for flag in found] == [type(None if data == "" else data) for _, data in rows]
    assert len(read_flags(directory)) == len(rows)


@pytest.mark.parametrize("noted", [True, False], ids=["noted", "bookkeeping-gone"])
def test_files_are_absolute_paths(flag_dir, noted):
    """A file column gives a Path, a list of files absolute texts in its structure; so without bookkeeping."""
    log = CsvLog(flag_dir)
    for _ in range(2):
        with log.staging() as staging:
            gallery = [{"image": staging.write(b"g", ".png"), "caption": "im/0.png"} for _ in range(2)]
            cells = ["hello", "[1]", cell_of(staging.write(b"im", ".png"), "file"), cell_of(gallery, "json")]
            log.append(Entry(ALL_KINDS, cells))
    if not noted:
        shutil.rmtree(flag_dir / ".flagplus")

    flag = list(read_flags(flag_dir))[1]

    assert flag["im"] == flag_dir / "im" / "1.png"
    assert flag["gallery"] == [
        {"image": str(flag_dir / "gallery" / f"1-{k}.png"), "caption": "im/0.png"} for k in range(2)
    ]
    assert flag["data"] == ([1] if noted else "[1]")
    assert [path.relative_to(flag_dir).as_posix() for path in flag.files] == [
        "im/1.png", "gallery/1-0.png", "gallery/1-1.png",
    ]  # fmt: skip
    assert all(path.is_file() for path in flag.files)


def test_the_flag_of_a_receipt_is_the_flag_that_is_read(flag_dir):
    """A Flag made from what `append` gives equals the one that the directory gives."""
    receipt = flag_image(CsvLog(flag_dir))
    made = Flag(flag_dir, receipt.number, receipt.log, receipt.row, receipt.columns, list(receipt.texts))

    assert made == next(iter(read_flags(flag_dir)))
    assert made.values == next(iter(read_flags(flag_dir))).values


@pytest.mark.parametrize(
    ("meta", "reasons"),
    [
        pytest.param({REASONS: "wrong|off by one"}, ("wrong", "off by one"), id="joined"),
        pytest.param({REASONS: ""}, (), id="joined-none"),
        pytest.param({HOT[0]: "0", HOT[1]: "1"}, ("off by one",), id="one-hot"),
    ],
)
@pytest.mark.parametrize("noted", [True, False], ids=["noted", "bookkeeping-gone"])
def test_reasons_are_a_tuple_in_both_styles(flag_dir, meta, reasons, noted):
    """Joined or one-hot, and from the header alone."""
    CsvLog(flag_dir).append(Entry(TEXT, ["a", "b", "1"], meta))
    if not noted:
        shutil.rmtree(flag_dir / ".flagplus")

    assert next(iter(read_flags(flag_dir))).reasons == reasons


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-01-02T03:04:05+00:00", datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)),
        ("2026-01-02T03:04:05Z", datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)),
        ("2026-01-02T03:04:05", datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)),
        ("2026-01-02T03:04:05+02:00", datetime(2026, 1, 2, 1, 4, 5, tzinfo=timezone.utc)),
        ("yesterday", None),
        ("", None),
    ],
)
def test_a_timestamp_is_aware_or_none(flag_dir, text, moment):
    """What cannot be read as a time is None, not an error."""
    CsvLog(flag_dir).append(Entry(TEXT, ["a", "b", "1"], {TIMESTAMP: text}))
    found = next(iter(read_flags(flag_dir))).timestamp

    assert found == moment
    assert found is None or found.tzinfo is not None


def test_meta_columns_have_their_own_names_and_extras_are_values(flag_dir):
    """Comment and user name are attributes; what the app added is a value."""
    extra, row_id = Column("model", "text", "extra"), Column("id", "text", "id")
    CsvLog(flag_dir).append(Entry(TEXT, ["a", "", "1"], {COMMENT: "=no", USERNAME: "ann", extra: "v2", row_id: "x1"}))
    flag = next(iter(read_flags(flag_dir)))

    assert (flag.comment, flag.username) == ("=no", "ann")
    assert flag.values == {"prompt": "a", "answer": None, "score": 1, "model": "v2", "id": "x1"}
    with pytest.raises(KeyError, match="comment"):
        flag["comment"]


# ---- order, and the numbers of rows


def test_all_logs_are_read_in_the_order_of_the_flags(flags):
    """Flags that went to two logs in turn come back in turn."""
    assert numbers(flags) == [0, 1, 2, 3, 4, 5]
    assert [flag.log for flag in read_flags(flags)] == ["logs.csv", "logs-2.csv"] * 3
    assert read_flags(flags).columns == ("prompt", "im", "Output", "answer", "score")


@settings(deadline=None, max_examples=25)
@given(st.lists(st.sampled_from(["text", "image", "comment"]), max_size=20))
def test_logs_in_any_turn_are_merged(tmp_path_factory, turns):
    """Whichever log a flag went to, the numbers come out ascending and every file belongs to its flag."""
    directory = tmp_path_factory.mktemp("flagged")
    log = CsvLog(directory, fsync=False)
    for number, turn in enumerate(turns):
        if turn == "image":
            flag_image(log, number)
        else:
            flag_text(log, number, **({"comment": "so"} if turn == "comment" else {}))

    found = list(read_flags(directory))

    assert [flag.number for flag in found] == list(range(len(turns)))
    assert [int((flag["prompt"] if "im" in flag.values else flag["answer"]).split()[-1]) for flag in found] == list(
        range(len(turns))
    )
    assert all(path.is_file() for flag in found for path in flag.files)


def test_files_tell_the_numbers_where_the_bookkeeping_is_gone(flags):
    """Without bookkeeping a row's number is the one that its files bear."""
    shutil.rmtree(flags / ".flagplus")
    found = {flag.number: flag for flag in read_flags(flags) if flag.log == "logs.csv"}

    assert list(found) == [0, 2, 4]
    assert all(flag["im"].read_bytes() for flag in found.values())


def test_files_tell_the_numbers_where_a_row_was_deleted(flags):
    """A row that a person took out does not shift the others' files."""
    log = flags / "logs.csv"
    header, _, *rest = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(b"".join([header, *rest]))
    flag_image(CsvLog(flags), 6)

    found = [flag for flag in read_flags(flags) if flag.log == "logs.csv"]
    assert [flag.number for flag in found] == [2, 4, 6]
    assert all(path.is_file() for flag in found for path in flag.files)


def test_a_moved_directory_reads_the_same(flags, tmp_path):
    """Nothing in a directory says where it was."""
    before = [flag.texts for flag in read_flags(flags)]
    moved = tmp_path / "elsewhere"
    flags.rename(moved)

    assert [flag.texts for flag in read_flags(moved)] == before
    assert all(path.is_file() and moved in path.parents for flag in read_flags(moved) for path in flag.files)


# ---- while others write, and after they died


def test_flags_are_read_while_writers_write(flag_dir):
    """Every look sees whole rows only, and as many as there were, or more."""
    log = CsvLog(flag_dir, fsync=False)
    flag_text(log)

    def write() -> None:
        for number in range(1, 200):
            flag_text(log, number, text='two\r\nlines, "quoted"')

    writer = threading.Thread(target=write)
    writer.start()
    seen = 1
    while writer.is_alive():
        found = [flag["answer"] for flag in read_flags(flag_dir)]
        assert found == [f"answer {number}" for number in range(len(found))]
        assert len(found) >= seen
        seen = len(found)
    writer.join()

    assert len(read_flags(flag_dir)) == 200


def test_a_log_cut_at_any_byte_gives_its_whole_rows(flag_dir, tmp_path):
    """A torn tail is not read, and nothing is raised."""
    log = CsvLog(flag_dir, fsync=False)
    for number in range(3):
        flag_text(log, number, text='two\r\nlines, "quoted"')
    data = (flag_dir / "logs.csv").read_bytes()
    whole = [flag.texts for flag in read_flags(flag_dir)]
    for cut in range(len(data)):
        found = [flag.texts for flag in read_flags(write_log(tmp_path / "cut", data[:cut]))]
        assert found == whole[: len(found)]
        assert len(found) == max(0, data[:cut].count(b"\r\n") - data[:cut].count(b"two\r\n") - 1)


def test_reading_changes_nothing(flags):
    """Not a byte, not a file, not the bookkeeping."""
    before = {path: path.stat().st_mtime_ns for path in flags.rglob("*")}
    list(read_flags(flags))
    len(read_flags(flags))

    assert {path: path.stat().st_mtime_ns for path in flags.rglob("*")} == before


def test_a_missing_file_has_a_path_all_the_same(flags):
    """That a file is gone is for `check` to tell."""
    (flags / "im" / "0.png").unlink()

    assert next(iter(read_flags(flags)))["im"] == flags / "im" / "0.png"


# ---- what people and attackers do to a log


@pytest.mark.parametrize(
    "cell",
    [
        "../../etc/passwd", "im/../../x.png", "/etc/passwd", "C:/x.png", "C:\\x.png", "..\\x.png", "im\\0.png",
        "file:///etc/passwd", "\\\\host\\share", ".flagplus/lock", "im//0.png", "./im/0.png", "..", "link/x", "im/link",
    ],
)  # fmt: skip
@pytest.mark.parametrize("shape", ["{}", '{{"video": "{}"}}', '["{}"]'], ids=["plain", "dict", "list"])
def test_no_cell_leads_outside_the_directory(flags, tmp_path, cell, shape):
    """A path that is none of the directory's is None, whatever it looks like and wherever it stands."""
    (tmp_path / "secret").mkdir()
    (flags / "link").symlink_to(tmp_path / "secret")
    (flags / "im" / "link").symlink_to("/etc/passwd")
    text = shape.format(cell.replace("\\", "\\\\") if shape != "{}" else cell)
    flag = Flag(flags, 0, "logs.csv", 0, IMAGE, ["p", text, "Output/0.png"])

    assert flag["im"] in (None, {"video": None}, [None])
    assert [path.name for path in flag.files] == ["0.png"]


def test_a_link_in_place_of_an_own_file_is_not_followed_out(flags):
    """Our own name does not help a link that leads out."""
    (flags / "im" / "0.png").unlink()
    (flags / "im" / "0.png").symlink_to("/etc/passwd")

    assert next(iter(read_flags(flags)))["im"] is None


def test_a_url_stays_text(flag_dir):
    """A remote file is its URL."""
    CsvLog(flag_dir).append(Entry(IMAGE, ["p", "https://example.org/a.png", ""]))

    assert values(flag_dir) == [{"prompt": "p", "im": "https://example.org/a.png", "Output": None}]


EDITED = [
    pytest.param(b"a,b\n1,2\n3,4\n", [["1", "2"], ["3", "4"]], id="line-feeds"),
    pytest.param(b"\xef\xbb\xbfa,b\r\n1,2\r\n", [["1", "2"]], id="byte-order-mark"),
    pytest.param(b'"a","b"\r\n"1","2"\r\n', [["1", "2"]], id="all-quoted"),
    pytest.param(b"a,b\r\n1\r\n\r\n1,2,3\r\n", [["1", None], [None, None], ["1", "2"]], id="ragged"),
    pytest.param(b"a,b\r\n1,\xff\xfe\r\n", [["1", "\ufffd\ufffd"]], id="not-utf-8"),
    pytest.param(b'a,b\r\n5" pipe,2\r\n3,4\r\n', [['5" pipe', "2"], ["3", "4"]], id="stray-quote"),
    pytest.param(b'a,b\r\n"1\r2",x\ry\r\n', [["1\r2", "x\ry"]], id="bare-returns"),
    pytest.param(b"a,b\r\n'=1,'+x\r\n'quoted',''\r\n", [["=1", "+x"], ["'quoted'", "''"]], id="escapes"),
    pytest.param(b"a,b\r\n1,2\r\n3,4", [["1", "2"]], id="unfinished"),
    pytest.param(b"a,a\r\n1,2\r\n", [["1", "2"]], id="a-name-twice"),
    pytest.param(b"a,b\r\n1,x\0y\r\n", [["1", "x\0y"]], id="nul"),
    pytest.param(b"a,b\r\n" + b"x" * 200_000 + b",2\r\n3,4\r\n", [["x" * 200_000, "2"], ["3", "4"]], id="long-cell"),
    pytest.param(b"", [], id="empty"),
    pytest.param(b"a,b", [], id="half-a-header"),
    pytest.param(b"a,b\r\n", [], id="header-only"),
    pytest.param(b"\r\n\r\n", [[None]], id="blank-lines"),
]


@pytest.mark.parametrize(("data", "rows"), EDITED)
def test_what_others_wrote_is_read_as_well_as_can_be(flag_dir, data, rows):
    """Never an exception: cells that are missing are empty, those that are too many are left out of the values."""
    write_log(flag_dir, data)

    assert [list(found.values()) for found in values(flag_dir)] == rows
    assert len(read_flags(flag_dir)) == len(rows)


@settings(deadline=None, max_examples=150)
@given(st.binary(max_size=60) | st.text("a,\"\r\n'=;[{1", max_size=60).map(str.encode))
def test_any_bytes_are_read_without_an_exception(tmp_path_factory, data):
    """A log can hold anything; the count and the rows agree."""
    directory = write_log(tmp_path_factory.mktemp("flagged"), data)

    assert len([flag.values for flag in read_flags(directory)]) == len(read_flags(directory))


def test_the_limit_of_the_csv_module_is_neither_met_nor_moved(flag_dir):
    """Cells longer than `csv.field_size_limit` are read, and the limit is what the app set."""
    flag_text(CsvLog(flag_dir), text="x" * 300_000)
    before = csv.field_size_limit(1000)
    try:
        assert len(next(iter(read_flags(flag_dir)))["prompt"]) == 300_000
        assert csv.field_size_limit() == 1000
    finally:
        csv.field_size_limit(before)


def test_an_edited_header_keeps_the_kinds_of_the_columns_it_kept(flags):
    """Only the renamed column is guessed."""
    log = flags / "logs-2.csv"
    log.write_bytes(log.read_bytes().replace(b"prompt,", b"question,"))

    found = [dict(flag.values) for flag in read_flags(flags) if flag.log == "logs-2.csv"]
    assert found[0] == {"question": "hello", "answer": "answer 1", "score": 1}


def test_reviews_and_foreign_files_are_no_flags(flags):
    """Only the logs of the directory are read."""
    write_log(flags, b"number,decision\r\n0,keep\r\n", "reviews.csv")
    write_log(flags, b"x,y\r\n1,2\r\n", "dataset1.csv")

    assert len(list(read_flags(flags))) == 6


def test_a_log_of_any_name_is_found(flag_dir):
    """By its bookkeeping, or as the only CSV there."""
    log = CsvLog(flag_dir, log_name="my flags.csv")
    flag_image(log)
    flag_text(log)
    assert numbers(flag_dir) == [0, 1]

    shutil.rmtree(flag_dir / ".flagplus")
    assert len(numbers(flag_dir)) == 2


def test_a_directory_that_is_not_there_is_said_so(tmp_path):
    """The error names it; an empty directory has no flags."""
    with pytest.raises(FlagplusError, match="nowhere"):
        read_flags(tmp_path / "nowhere")
    assert list(read_flags(tmp_path)) == []
    assert len(read_flags(tmp_path)) == 0
    assert read_flags(tmp_path).columns == ()


# ---- what is asked of all flags


def test_the_count_reads_nothing_that_was_noted(flags, monkeypatch):
    """With the bookkeeping right, `len` looks only at what came after it."""
    with open(flags / "logs-2.csv", "ab") as file:
        file.write(b"hello,answer,9\r\n")
    starts: list[int] = []
    scan = __import__("gradio_flagplus.record").record.scan
    monkeypatch.setattr(
        "gradio_flagplus.record.scan",
        lambda file, start=0, stop=None: (starts.append(start), scan(file, start, stop))[1],
    )

    assert len(read_flags(flags)) == 7
    assert starts
    assert all(starts)


@pytest.fixture
def days(flag_dir: Path) -> Path:
    """Four flags on four days, by two users, for two reasons."""
    log = CsvLog(flag_dir, fsync=False)
    for day, (reasons, name) in enumerate([("wrong", "ann"), ("blurry", "bob"), ("wrong|blurry", "ann"), ("", "")], 1):
        moment = datetime(2026, 1, day, 12, tzinfo=timezone.utc)
        log.append(Entry(TEXT, ["a", "b", str(day)], {REASONS: reasons, USERNAME: name, TIMESTAMP: moment.isoformat()}))
    return flag_dir


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        pytest.param({}, [0, 1, 2, 3], id="nothing"),
        pytest.param({"reason": "wrong"}, [0, 2], id="reason"),
        pytest.param({"reason": ["wrong", "blurry"]}, [0, 1, 2], id="any-reason"),
        pytest.param({"username": "ann"}, [0, 2], id="user"),
        pytest.param({"reason": "blurry", "username": "ann"}, [2], id="both"),
        pytest.param({"since": datetime(2026, 1, 3, 12, tzinfo=timezone.utc)}, [2, 3], id="moment"),
        pytest.param({"since": "2026-01-02T13:00:00+00:00"}, [2, 3], id="text"),
        pytest.param({"since": "2026-01-04T00:00:00Z"}, [3], id="zulu"),
        pytest.param({"since": date(2026, 1, 10)}, [], id="day"),
        pytest.param({"since": datetime(2026, 1, 3, 14, tzinfo=timezone(timedelta(hours=5)))}, [2, 3], id="zone"),
    ],
)
def test_where_keeps_what_holds(days, wanted, found):
    """Each condition by itself, all of those given together, and one `where` after another."""
    assert [flag.number for flag in read_flags(days).where(**wanted)] == found
    assert len(read_flags(days).where(**wanted)) == found.__len__()
    chained = read_flags(days)
    for key, value in wanted.items():
        chained = chained.where(**{key: value})
    assert [flag.number for flag in chained] == found


def test_a_since_that_is_no_time_is_refused(days):
    """At once, and with an example."""
    with pytest.raises(ValueError, match="2026-01-31"):
        read_flags(days).where(since="last week")


def test_flags_without_a_time_are_since_nothing(flags):
    """Who asks for a time gets flags that have one."""
    assert list(read_flags(flags).where(since="2000-01-01")) == []


def test_a_data_frame_has_a_row_a_flag(days):
    """The index has the numbers, reasons are tuples, times are times, and empty cells are missing."""
    pandas = pytest.importorskip("pandas")
    frame = read_flags(days).where(reason="wrong").to_pandas()

    assert list(frame.columns) == ["prompt", "answer", "score", "flag", "username", "timestamp"]
    assert (frame.index.name, list(frame.index)) == ("number", [0, 2])
    assert list(frame["flag"]) == [("wrong",), ("wrong", "blurry")]
    assert list(frame["score"]) == [1, 3]
    assert frame["timestamp"].iloc[0] == pandas.Timestamp("2026-01-01T12:00Z")
    assert list(frame["flag"].str.join("|").str.get_dummies().columns) == ["blurry", "wrong"]


def test_a_data_frame_of_several_logs_has_all_their_columns(flags):
    """What a log has not is missing in its rows; a directory without flags gives an empty frame."""
    pandas = pytest.importorskip("pandas")
    frame = read_flags(flags).to_pandas()

    assert list(frame.columns) == ["prompt", "im", "Output", "answer", "score"]
    assert frame["im"].isna().tolist() == [False, True] * 3
    assert isinstance(frame, pandas.DataFrame)
    assert len(read_flags(flags).where(reason="none").to_pandas()) == 0


def test_one_hot_reasons_are_one_column_of_a_data_frame(flag_dir):
    """Whichever style the log has, the frame has `flag`."""
    pytest.importorskip("pandas")
    CsvLog(flag_dir).append(Entry(TEXT, ["a", "b", "1"], {HOT[0]: "1", HOT[1]: "0"}))

    assert read_flags(flag_dir).to_pandas()["flag"].tolist() == [("wrong",)]


# ---- examples


def test_examples_are_values_with_absolute_paths_and_no_missing_media(flags):
    """A flag whose picture is gone, or that has none, is left out."""
    (flags / "im" / "2.png").unlink()

    assert read_flags(flags).examples(["prompt", "im"]) == [
        [f"prompt {number}", str(flags / "im" / f"{number}.png")] for number in (0, 4)
    ]
    with pytest.raises(ValueError, match="nothing"):
        read_flags(flags).examples(["nothing"])


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")
def test_examples_start_an_interface(flag_dir, picture):
    """Gradio takes them as they are: text, number, checkbox, choices, picture, gallery, a label twice, no label."""
    gr = pytest.importorskip("gradio")
    inputs = [
        gr.Textbox(label="text"), gr.Number(label="n"), gr.Checkbox(label="on"),
        gr.CheckboxGroup(["a", "b"], label="g"), gr.Image(label="im", type="filepath"), gr.Gallery(label="pictures"),
        gr.Textbox(label="text"), gr.Textbox(), gr.Textbox(label="key", type="password"),
    ]  # fmt: skip
    kinds = ["text", "json", "json", "json", "file", "json", "text", "text"]
    labels = ["text", "n", "on", "g", "im", "pictures", "text", inputs[7].label or "component 7"]
    columns = name_columns(Column(label, kind) for label, kind in zip(labels, kinds, strict=True))
    log = CsvLog(flag_dir)
    for text in ("hello", "", "007"):
        with log.staging() as staging:
            file = [staging.write(picture.read_bytes(), ".png") for _ in range(2)]
            row = [text, -1.5, False, ["a"], file[0], [{"image": file[1], "caption": None}], "=x", "[1]"]
            log.append(Entry(columns, [cell_of(value, kind) for value, kind in zip(row, kinds, strict=True)]))

    examples = read_flags(flag_dir).examples(inputs)

    assert examples[0] == [
        "hello", -1.5, False, ["a"], str(flag_dir / "im/0.png"), [(str(flag_dir / "pictures/0.png"), None)],
        "=x", "[1]", None,
    ]  # fmt: skip
    assert [row[0] for row in examples] == ["hello", None, "007"]
    interface = gr.Interface(lambda *values: "", inputs, "text", examples=examples, cache_examples=False)
    dataset = next(block for block in interface.blocks.values() if type(block).__name__ == "Dataset")
    assert len(dataset.samples) == 3
    del interface, dataset
    gc.collect()  # Gradio leaves event loops behind, which the next test would be blamed for


# ---- what it costs


def test_reading_loads_neither_gradio_nor_pandas(flags):
    """`import gradio_flagplus`, reading and checking leave Gradio's seconds unspent."""
    code = (
        "import sys; from gradio_flagplus import read_flags, check\n"
        f"assert len(list(read_flags({str(flags)!r}))) == 6 and check({str(flags)!r}) == []\n"
        "assert not {'gradio', 'pandas', 'PIL'} & sys.modules.keys()"
    )
    subprocess.run(
        [sys.executable, "-c", code], check=True, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    )


def test_memory_stays_flat(flag_dir):
    """A log of many megabytes is read in a few."""
    import tracemalloc

    write_log(flag_dir, b"a,b\r\n" + b'"some text, quoted",12345\r\n' * 100_000)
    tracemalloc.start()
    try:
        assert sum(1 for flag in read_flags(flag_dir) if flag.values) == 100_000
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()


def test_a_full_disk_is_not_the_readers_matter(flags, monkeypatch):
    """A writer that fails leaves the readers what they had."""
    before = snapshot(flags)
    monkeypatch.setattr("gradio_flagplus.files.publish", lambda *a: (_ for _ in ()).throw(OSError(28, "full")))
    with pytest.raises(LogNotWritable):
        flag_image(CsvLog(flags))

    assert snapshot(flags) == before
    assert len(list(read_flags(flags))) == 6
