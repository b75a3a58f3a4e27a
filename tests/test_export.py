"""Exports: what was flagged is what other programs load."""

from __future__ import annotations

import io
import json
import os
import re
import struct
import sys
import wave
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from PIL import Image

from gradio_flagplus.cells import cell_of
from gradio_flagplus.columns import Column, name_columns
from gradio_flagplus.decisions import decide, read_decisions
from gradio_flagplus.export import FORMATS, export_flags
from gradio_flagplus.job import CannotExport, NothingToExport, OutTaken
from gradio_flagplus.log import CsvLog, Entry
from gradio_flagplus.reader import read_flags

REASONS, USERNAME, COMMENT, TIMESTAMP = (
    Column("flag", "text", "reasons"),
    Column("username", "text", "username"),
    Column("comment", "text", "comment"),
    Column("timestamp", "text", "timestamp"),
)


def image(label: str, component: str = "image") -> Column:
    return Column(label, "file", component=component)


class Flagged:
    """A flagging directory to put flags into."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._log = CsvLog(path, fsync=False)

    def flag(self, columns: Sequence[Column], values: Sequence[Any], **meta: str) -> int:
        named = name_columns([*columns, REASONS, COMMENT, USERNAME, TIMESTAMP])
        roles = {column.role: column for column in named[len(columns) :]}
        with self._log.staging() as staging:
            cells = [
                cell_of(_staged(value, staging), column.kind) for column, value in zip(columns, values, strict=True)
            ]
            texts = {roles[role]: text for role, text in meta.items()}
            return self._log.append(Entry(named[: len(columns)], cells, texts)).number


def _staged(value: Any, staging: Any) -> Any:
    if isinstance(value, bytes):
        return staging.write(value, ".wav" if value[:4] == b"RIFF" else ".png" if value[1:4] == b"PNG" else ".bin")
    if isinstance(value, list):
        return [_staged(item, staging) for item in value]
    if isinstance(value, dict):
        return {key: _staged(item, staging) for key, item in value.items()}
    return value


def png(color: tuple[int, int, int]) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (3, 2), color).save(file, "PNG")
    return file.getvalue()


def wav(*samples: int) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setparams((1, 2, 8000, 0, "NONE", ""))
        sound.writeframes(struct.pack(f"<{len(samples)}h", *samples))
    return file.getvalue()


RED, BLUE = (255, 0, 0), (0, 0, 255)


@pytest.fixture
def flagged(tmp_path: Path) -> Flagged:
    return Flagged(tmp_path / "flagged")


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


@pytest.fixture
def load(tmp_path: Path, monkeypatch):
    """`datasets.load_dataset` on a directory, without its cache and its bars."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_DATASETS_OFFLINE", "1")
    datasets = pytest.importorskip("datasets", reason="the datasets library is not installed")
    datasets.disable_progress_bars()

    def load_dataset(path: Path):
        found = datasets.load_dataset(str(path), cache_dir=str(tmp_path / "cache"))
        assert list(found) == ["train"]
        return found["train"]

    return load_dataset


def pixels(picture: Image.Image) -> tuple[tuple[int, int], tuple[int, int, int]]:
    return picture.size, picture.convert("RGB").getpixel((0, 0))


def lines(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "flags.jsonl").read_text(encoding="utf-8").split("\n")[:-1]]


# ---- imagefolder and audiofolder, by the real library

AWKWARD = [
    "test",
    "train",
    "dev",
    "im",
    "Output",
    "file_name",
    "a/b",
    "a_b",
    "X",
    "file_names",
    "number",
    "reasons",
    "[x]*",
]


@pytest.mark.parametrize("label", AWKWARD)
def test_an_image_column_loads_whatever_it_is_called(flagged, out, load, label):
    """A column of images comes back as images, beside a text column whose name could be mistaken for its path."""
    columns = [image(label), Column(f"{label}_file_name"), Column("file_name")]
    flagged.flag(columns, [png(RED), "NA", "007"], reasons="wrong|blurry")
    flagged.flag(columns, [None, "é\r\n\tx", "null"])

    export_flags(flagged.path, out, "imagefolder")
    rows = load(out)

    mine, his, plain = rows.column_names[1:4]
    assert (mine, his) == (re.sub("file_(names?)$", r"file\1", label), f"{label}_filename")
    assert pixels(rows[0][mine]) == ((3, 2), RED)
    assert rows[1][mine] is None
    assert (rows[0][his], rows[1][his]) == ("NA", "é\r\n\tx")
    assert (rows[0][plain], rows[1][plain]) == ("007", "null")
    assert rows[0][rows.column_names[-1]] == ["wrong", "blurry"]
    assert rows[1][rows.column_names[-1]] == []


def test_all_awkward_columns_load_side_by_side(flagged, out, load):
    """Columns that differ in case, in a separator or only by a suffix stay apart, each with its own pixels."""
    labels = [*AWKWARD, "im", "IM"]
    columns = [image(label) for label in labels]
    colors = [(place * 10, 0, 255) for place in range(len(labels))]
    flagged.flag(columns, [png(color) for color in colors])

    export_flags(flagged.path, out, "imagefolder")
    (row,) = load(out)

    found = [value for value in row.values() if isinstance(value, Image.Image)]
    assert [pixels(picture)[1] for picture in found] == colors


def test_types_are_those_of_the_values(flagged, out, load):
    """Numbers, bools and lists of text come back as such; a column of mixed values as JSON text; dates stay text."""
    names = ["int", "float", "bool", "words", "mixed", "big", "none", "date", "nan"]
    columns = [image("im"), *(Column(name, "text" if name == "date" else "json") for name in names)]
    first = [1, 1, True, ["a", "b"], {"x": [1]}, 2**70, None, "2024-01-01", 1.5]
    second = [-2, 2.5, None, [], "five", 1, None, "2024-01-02 10:20:30", float("nan")]
    for values in (first, second):
        flagged.flag(columns, [png(RED), *values])

    export_flags(flagged.path, out, "imagefolder")
    rows = [{name: row[name] for name in names} for row in load(out)]

    assert rows[0] == {
        "int": 1, "float": 1.0, "bool": True, "words": ["a", "b"], "mixed": '{"x": [1]}', "big": str(2**70),
        "none": None, "date": "2024-01-01", "nan": "1.5",
    }  # fmt: skip
    assert rows[1] == {
        "int": -2, "float": 2.5, "bool": None, "words": [], "mixed": '"five"', "big": "1", "none": None,
        "date": "2024-01-02 10:20:30", "nan": '"nan"',
    }  # fmt: skip


def test_without_dates_the_metadata_is_jsonl(flagged, out, load):
    """The metadata is JSON lines where that says everything; no Parquet is made for it."""
    flagged.flag([image("im"), Column("t")], [png(RED), "x"], timestamp="2024-01-01T00:00:00+00:00")

    export_flags(flagged.path, out, "imagefolder")

    assert (out / "metadata.jsonl").is_file()
    assert load(out)[0]["timestamp"] == "2024-01-01T00:00:00.000000+00:00"


def test_a_media_column_that_is_always_empty_keeps_its_type(flagged, out, load):
    """An image column without a single image is an image column still."""
    flagged.flag([image("im"), image("mask")], [png(RED), None])

    export_flags(flagged.path, out, "imagefolder")
    rows = load(out)

    assert type(rows.features["mask"]).__name__ == "Image"
    assert rows[0]["mask"] is None


def test_a_gallery_loads_as_a_list_of_images(flagged, out, load):
    """A list of images is a list of images; its captions stand in a column of their own."""
    columns = [Column("many", "json", component="gallery")]
    flagged.flag(columns, [[{"image": png(RED), "caption": "r"}, {"image": png(BLUE), "caption": None}]])
    flagged.flag(columns, [[]])
    flagged.flag(columns, [None])

    export_flags(flagged.path, out, "imagefolder")
    rows = load(out)

    assert [pixels(picture)[1] for picture in rows[0]["many"]] == [RED, BLUE]
    assert (rows[1]["many"], rows[2]["many"]) == ([], [])
    assert [item["caption"] for item in json.loads(rows[0]["many details"])] == ["r", None]


def test_files_of_another_medium_come_along_as_paths(flagged, out, load):
    """A sound in a folder of images, however many there are, is a path from the export, and the file is there."""
    columns = [image("im"), Column("sound", "file", component="audio"), Column("talk", "json", component="chatbot")]
    talk = [{"role": "user", "content": "hi"}, {"role": "user", "content": {"path": wav(1)}}]
    flagged.flag(columns, [png(RED), wav(1, 2), talk])
    flagged.flag(columns, [None, wav(3), None])

    export_flags(flagged.path, out, "imagefolder")
    row = load(out)[0]

    assert (out / row["sound"]).read_bytes() == wav(1, 2)
    assert (out / json.loads(row["talk"])[1]["content"]["path"]).read_bytes() == wav(1)


def test_a_file_that_is_gone_is_null_and_counted(flagged, out, load):
    """A row whose image was deleted is exported without it."""
    for color in (RED, BLUE):
        flagged.flag([image("im")], [png(color)])
    (flagged.path / "im" / "1.png").unlink()

    done = export_flags(flagged.path, out, "imagefolder")
    rows = load(out)

    assert (done.flags, done.files, done.missing) == (2, 1, 1)
    assert rows[1]["im"] is None


def test_a_url_in_place_of_an_image_is_told(flagged, out, load):
    """A URL is no file: the image is null and a note says so."""
    flagged.flag([image("im")], [png(RED)])
    flagged.flag([image("im")], ["https://example.com/a.png"])

    done = export_flags(flagged.path, out, "imagefolder")

    assert load(out)[1]["im"] is None
    assert "'im'" in done.notes[0]


def test_flags_of_several_logs_make_one_table(flagged, out, load):
    """Rows with other columns are filled up; a column that changed its kind is told apart from none."""
    flagged.flag([image("im"), Column("a")], [png(RED), "x"])
    flagged.flag([image("im"), Column("b", "json")], [png(BLUE), 5])

    export_flags(flagged.path, out, "imagefolder")
    rows = list(load(out))

    assert [(row["number"], row["a"], row["b"]) for row in rows] == [(0, "x", None), (1, None, 5)]


@pytest.fixture
def torchcodec(monkeypatch):
    """What `datasets` 4 and later import before they take the path of a sound, and do not use for it."""
    if find_spec("torchcodec") is None:
        for name in ("torch", "torchcodec", "torchcodec.encoders"):
            monkeypatch.setitem(sys.modules, name, ModuleType(name))
        nothing = type("Nothing", (), {})
        sys.modules["torchcodec.encoders"].AudioEncoder = nothing
        sys.modules["torch"].Tensor = sys.modules["torch"].Generator = nothing
        sys.modules["torch"].nn = SimpleNamespace(Module=nothing)


def test_sounds_load_as_sounds(flagged, out, load, torchcodec):
    """A column of sounds comes back as sounds, sample for sample."""
    soundfile = pytest.importorskip("soundfile")
    datasets = pytest.importorskip("datasets")
    columns = [Column("test", "file", component="audio"), Column("text")]
    flagged.flag(columns, [wav(0, 1000, -1000), "x"], reasons="loud")
    flagged.flag(columns, [None, "y"])

    export_flags(flagged.path, out, "audiofolder")
    rows = load(out)

    assert isinstance(rows.features["test"], datasets.Audio)
    first, second = rows.cast_column("test", datasets.Audio(decode=False))
    samples, rate = soundfile.read(first["test"]["path"], dtype="int16")
    assert (samples.tolist(), rate) == ([0, 1000, -1000], 8000)
    assert (first["reasons"], second["test"]) == (["loud"], None)


def test_flags_without_bookkeeping_load_too(flagged, out, load):
    """A copied directory without `.flagplus` loads the same images."""
    import shutil

    flagged.flag([image("im"), Column("a")], [png(RED), "007"], reasons="wrong")
    shutil.rmtree(flagged.path / ".flagplus")

    export_flags(flagged.path, out, "imagefolder")
    (row,) = load(out)

    assert pixels(row["im"]) == ((3, 2), RED)
    assert (row["a"], row["reasons"]) == ("007", ["wrong"])


@pytest.mark.parametrize(
    ("columns", "values", "options"),
    [
        pytest.param([Column("a")], ["x"], {}, id="no media"),
        pytest.param([image("im")], [png(RED)], {"copy": False}, id="no copy"),
    ],
)
def test_a_folder_that_cannot_be_made_is_refused(flagged, out, columns, values, options):
    """Without a column of images there is no imagefolder, and none without the images."""
    flagged.flag(columns, values)

    with pytest.raises(CannotExport):
        export_flags(flagged.path, out, "imagefolder", **options)

    assert os.listdir(out.parent) == ["flagged"]


# ---- jsonl and parquet


def test_jsonl_holds_the_values_as_they_are(flagged, out):
    """One object a flag, the same keys in all, structures as structures, files relative and there."""
    columns = [image("im"), Column("n", "json"), Column("many", "json", component="gallery"), Column("t")]
    flagged.flag(columns, [png(RED), 5, [{"image": png(BLUE), "caption": "c"}], "007"], reasons="a|b", username="ann")
    flagged.flag(columns, [None, {"x": None}, None, "NA\n"], comment="no")

    export_flags(flagged.path, out, "jsonl")

    assert lines(out) == [
        {
            "number": 0, "im": "im/0.png", "n": 5, "many": [{"image": "many/0.png", "caption": "c"}], "t": "007",
            "reasons": ["a", "b"], "comment": None, "username": "ann",
        },
        {
            "number": 1, "im": None, "n": {"x": None}, "many": None, "t": "NA\n",
            "reasons": [], "comment": "no", "username": None,
        },
    ]  # fmt: skip
    assert (out / "im" / "0.png").read_bytes() == png(RED)
    assert (out / "many" / "0.png").read_bytes() == png(BLUE)


def test_jsonl_without_copies_names_files_from_the_flagging_directory(flagged, out):
    """Without copies the paths lead from the flagging directory, and nothing but the lines is written."""
    flagged.flag([image("im")], [png(RED)])

    done = export_flags(flagged.path, out, "jsonl", copy=False)

    assert (flagged.path / lines(out)[0]["im"]).is_file()
    assert (done.files, os.listdir(out)) == (0, ["flags.jsonl"])


def test_parquet_is_typed(flagged, out):
    """Parquet has a type for each column, and the rows are those of the flags."""
    pq = pytest.importorskip("pyarrow.parquet")
    columns = [image("im"), Column("n", "json"), Column("date")]
    flagged.flag(columns, [png(RED), 5, "2024-01-01"], reasons="wrong")

    export_flags(flagged.path, out, "parquet")
    table = pq.read_table(out / "flags.parquet")

    assert table.to_pylist() == [{"number": 0, "im": "im/0.png", "n": 5, "date": "2024-01-01", "reasons": ["wrong"]}]
    assert str(table.schema.field("n").type) == "int64"


def test_parquet_without_pyarrow_says_what_to_do(flagged, out, monkeypatch):
    """Where pyarrow is missing the error names it, and nothing is written."""
    flagged.flag([Column("a")], ["x"])
    monkeypatch.setitem(sys.modules, "pyarrow", None)

    with pytest.raises(CannotExport, match="pip install pyarrow"):
        export_flags(flagged.path, out, "parquet")

    assert not out.exists()


def test_dates_without_pyarrow_are_told(flagged, out, monkeypatch):
    """Where pyarrow is missing, text that its reader would take for dates is exported with a note."""
    flagged.flag([image("im"), Column("d")], [png(RED), "2024-01-01"])
    monkeypatch.setitem(sys.modules, "pyarrow", None)

    assert "date" in export_flags(flagged.path, out, "imagefolder").notes[0]


# ---- Label Studio


def tasks(out: Path) -> list[dict[str, Any]]:
    return json.loads((out / "tasks.json").read_text(encoding="utf-8"))


def test_label_studio_takes_the_tasks(flagged, out):
    """By Label Studio's own rules: the configuration parses, each task has what it asks for, predictions are valid."""
    sdk = pytest.importorskip("label_studio_sdk.label_interface")
    columns = [
        image("im"),
        Column("im", "text"),
        Column("a/b"),
        Column("reason"),
        Column("<&\x00>"),
        Column("n", "json"),
    ]
    columns += [Column("many", "json", component="gallery"), Column("sound", "file", component="audio")]
    many = [{"image": png(BLUE), "caption": "c"}]
    flagged.flag(columns, [png(RED), "x", "y", "z", '"', 5, many, wav(1)], reasons='wrong|"<b>')
    flagged.flag(columns, [None, None, None, None, None, None, None, None])

    export_flags(flagged.path, out, "label-studio")
    interface = sdk.LabelInterface((out / "config.xml").read_text(encoding="utf-8"))
    interface.validate()

    for task in tasks(out):
        assert interface.validate_task({"data": task["data"]})
        for prediction in task.get("predictions", []):
            assert interface.validate_prediction(prediction, return_errors=True) == []
    first, second = tasks(out)
    assert first["predictions"][0]["result"][0]["value"] == {"choices": ["wrong", '"<b>']}
    assert "annotations" not in first
    assert "predictions" not in second


@pytest.mark.parametrize(
    ("prefix", "url"),
    [
        (None, "/data/local-files/?d=out/my%20image/0.png"),
        ("https://x.org/f", "https://x.org/f/my%20image/0.png"),
        ("s3://bucket/", "s3://bucket/my%20image/0.png"),
        ("/data/local-files/?d=", "/data/local-files/?d=my%20image/0.png"),
    ],
)
def test_media_are_urls(flagged, out, prefix, url):
    """A file is a URL below the prefix, by default of Label Studio's local files; a text that looks like one is not."""
    flagged.flag([image("my image"), Column("t")], [png(RED), "my image/0.png"])

    export_flags(flagged.path, out, "label-studio", url_prefix=prefix)

    assert tasks(out)[0]["data"] == {"number": 0, "my_image": url, "t": "my image/0.png", "reasons": []}
    assert (out / "my image" / "0.png").is_file()


# ---- which flags, and where to


@pytest.fixture
def several(flagged) -> Flagged:
    for place, (reason, user) in enumerate([("wrong", "ann"), ("wrong|blurry", "bob"), ("", "ann")]):
        flagged.flag(
            [Column("a")], [str(place)], reasons=reason, username=user, timestamp=f"2024-01-0{place + 1}T12:00:00+00:00"
        )
    for number, decision in [(0, "Keep"), (1, "keep"), (2, "keep"), (1, "drop")]:
        decide(flagged.path, number, decision, username="eve")
    return flagged


@pytest.mark.parametrize(
    ("options", "numbers"),
    [
        ({}, [0, 1, 2]),
        ({"reason": "wrong"}, [0, 1]),
        ({"reason": ["blurry", "x"]}, [1]),
        ({"username": "ann"}, [0, 2]),
        ({"since": "2024-01-02"}, [1, 2]),
        ({"reviewed": "keep"}, [0, 2]),
        ({"reviewed": ["DROP", "x"]}, [1]),
        ({"reviewed": "keep", "reason": "wrong"}, [0]),
        ({"numbers": {1, 2, 7}, "username": "ann"}, [2]),
    ],
)
def test_only_what_is_asked_for_is_exported(several, out, options, numbers):
    """Filters keep the flags for which all of them hold; of several decisions the latest counts."""
    export_flags(several.path, out, "jsonl", **options)

    assert [row["number"] for row in lines(out)] == numbers


def test_the_latest_decision_counts(several):
    """A decision is kept with its note, user and time; the reviews are not taken for flags."""
    decide(several.path, 0, "drop", "=1+1", "bob")

    latest = read_decisions(several.path)

    assert {number: d.decision for number, d in latest.items()} == {0: "drop", 1: "drop", 2: "keep"}
    assert (latest[0].note, latest[0].username, latest[1].username) == ("=1+1", "bob", "eve")
    assert latest[0].timestamp is not None
    assert len(read_flags(several.path)) == 3


@pytest.mark.parametrize("kind", FORMATS)
def test_no_export_is_made_of_nothing(several, out, kind):
    """If no flag is asked for, that is an error, and nothing is written."""
    with pytest.raises(NothingToExport):
        export_flags(several.path, out, kind, reason="unheard of")

    assert not out.exists()


@pytest.mark.parametrize("case", ["full", "file", "inside"])
def test_an_export_replaces_nothing(several, out, case):
    """A folder that holds anything, a file, and a place among the flags are refused as they are."""
    if case == "full":
        out.mkdir()
        (out / "mine").write_text("mine")
    if case == "file":
        out.write_text("mine")
    if case == "inside":
        out = several.path / "export"

    with pytest.raises(OutTaken):
        export_flags(several.path, out, "jsonl")

    assert case != "full" or os.listdir(out) == ["mine"]
    assert case != "file" or out.read_text() == "mine"
    assert case != "inside" or not out.exists()


def test_an_empty_folder_and_missing_parents_will_do(several, out):
    """An export goes into an empty folder, and makes the folders above it."""
    out.mkdir()
    export_flags(several.path, out, "jsonl")
    export_flags(several.path, out / ".." / "x" / "y", "jsonl")

    assert len(lines(out)) == len(lines(out.parent / "x" / "y")) == 3


@pytest.mark.parametrize("kind", FORMATS)
def test_there_never_is_half_an_export(flagged, out, kind):
    """An export that is interrupted leaves nothing behind, beside its place or in it."""
    if kind == "parquet":
        pytest.importorskip("pyarrow")
    columns = [image("im"), Column("s", "file", component="audio")]
    for _ in range(3):
        flagged.flag(columns, [png(RED), wav(1)])

    def stop(stage: str, flags: int) -> None:
        if (stage, flags) == ("writing", 2):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export_flags(flagged.path, out, kind, progress=stop)

    assert os.listdir(out.parent) == ["flagged"]


def test_flags_that_come_meanwhile_are_left_for_the_next_export(flagged, out):
    """An export holds the flags there were when it began, although an app goes on flagging."""
    flagged.flag([Column("a")], ["x"])
    flagged.flag([Column("a")], ["x"])

    def flag_more(stage: str, flags: int) -> None:
        if (stage, flags) == ("reading", 2):
            flagged.flag([Column("a")], ["late"])

    export_flags(flagged.path, out, "jsonl", progress=flag_more)

    assert [row["a"] for row in lines(out)] == ["x", "x"]


def test_nothing_outside_the_directory_is_exported(flagged, out, tmp_path):
    """A tampered row that names a file elsewhere brings nothing from there."""
    (tmp_path / "secret.png").write_bytes(png(RED))
    flagged.flag([image("im")], [png(BLUE)])
    log = flagged.path / "logs.csv"
    log.write_bytes(log.read_bytes() + b"../secret.png\r\n/etc/passwd\r\n")

    export_flags(flagged.path, out, "jsonl")

    assert [row["im"] for row in lines(out)] == ["im/0.png", None, None]
    assert sorted(p.name for p in out.rglob("*") if p.is_file()) == ["0.png", "flags.jsonl"]
