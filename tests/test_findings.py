"""What an attempt to break the logger found, each as the sentence that must hold instead."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
import pytest
from logs import IMAGE

from gradio_flagplus import FileRefused, FlagLogger, NotSetUp, WrongValues, read_flags
from gradio_flagplus.cells import FileCell, StagedFile
from gradio_flagplus.log import CsvLog, Entry


def made(components: list[Any], flag_dir: Path, **options: Any) -> FlagLogger:
    """A logger for these components."""
    logger = FlagLogger(**options)
    logger.setup(components, flag_dir)
    return logger


def everything(directory: Path) -> bytes:
    """All bytes and names below a directory."""
    paths = list(directory.rglob("*"))
    return b"".join(path.read_bytes() for path in paths if path.is_file()) + repr(paths).encode()


def test_a_set_up_that_moves_a_password_is_another_set_up(flag_dir):
    """Components that would be stored alike but stand in another order are refused: a password would be stored."""
    logger = made([gr.Textbox(label="key", type="password"), gr.Textbox(label="a")], flag_dir)
    with pytest.raises(NotSetUp):
        logger.setup([gr.Textbox(label="a"), gr.Textbox(label="key", type="password")], flag_dir)
    logger.flag(["HUNTER2", "x"])

    assert b"HUNTER2" not in everything(flag_dir)


def test_a_set_up_for_another_component_of_the_same_label_is_another(flag_dir):
    """The kind of component counts, not only its label."""
    logger = made([gr.JSON(label="x")], flag_dir)
    with pytest.raises(NotSetUp):
        logger.setup([gr.Gallery(label="x")], flag_dir)


@pytest.mark.parametrize(
    ("component", "value"),
    [
        pytest.param(lambda: gr.File(label="f", file_count="multiple"), lambda path: [path], id="files"),
        pytest.param(lambda: gr.Gallery(label="f"), lambda path: [(path, "caption")], id="gallery"),
        pytest.param(lambda: gr.MultimodalTextbox(label="f"), lambda path: {"text": "t", "files": [path]}, id="multi"),
    ],
)
def test_paths_in_a_list_of_files_are_files(flag_dir, uploads, tmp_path, component, value):
    """Text at a file's place is judged like any path: kept as a file if it may be, else refused."""
    uploads.mkdir(exist_ok=True)
    (uploads / "a.png").write_bytes(b"\x89PNG in the cache")
    (tmp_path / "b.png").write_bytes(b"\x89PNG outside")
    logger = made([component()], flag_dir)
    logger.flag([value(str(uploads / "a.png"))])
    with pytest.raises(FileRefused):
        logger.flag([value(str(tmp_path / "b.png"))])

    (flag,) = read_flags(flag_dir)
    assert [path.read_bytes() for path in flag.files] == [b"\x89PNG in the cache"]


def test_redact_sees_what_is_inside_extra_columns(flag_dir):
    """Nested text and live objects in extra columns go through `redact`."""
    extras = {"a": {"user": "SECRET"}, "b": ["SECRET"], "c": Path("/home/SECRET"), "d": lambda: {"k": {"SECRET"}}}
    made([gr.Textbox(label="t")], flag_dir, extra_columns=extras, redact=lambda c, t: t.replace("SECRET", "*")).flag(
        ["x"]
    )

    assert b"SECRET" not in everything(flag_dir)
    (flag,) = read_flags(flag_dir)
    assert (flag["a"], flag["b"], flag["c"]) == ({"user": "*"}, ["*"], repr(Path("/home/*")))


@pytest.mark.parametrize("kind", ["json", "state"])
def test_redact_sees_keys_of_data(flag_dir, kind):
    """In JSON and State keys are the visitor's text, too; two that become equal are both kept."""
    component = gr.JSON(label="x") if kind == "json" else gr.State()
    made([component], flag_dir, redact=lambda c, t: t.replace("SECRET", "*").replace("S2", "*")).flag(
        [{"SECRET": 1, "S2": {"SECRET": 2}}]
    )

    assert b"SECRET" not in everything(flag_dir)
    (flag,) = read_flags(flag_dir)
    assert list(flag.values.values()) == [{"*": 1, "*_1": {"*": 2}}]


def test_redact_and_the_extension(flag_dir, uploads):
    """With `redact`, only an extension that is known for a type of file is kept."""
    uploads.mkdir(exist_ok=True)
    (uploads / "note.SECRETname").write_bytes(b"x")
    (uploads / "note.txt").write_bytes(b"y")
    logger = made([gr.File(label="f")], flag_dir, redact=lambda c, t: "***")
    for name in ("note.SECRETname", "note.txt"):
        logger.flag([{"path": str(uploads / name), "meta": {"_type": "gradio.FileData"}}])

    assert b"SECRET" not in everything(flag_dir)
    assert [path.name for flag in read_flags(flag_dir) for path in flag.files] == ["0", "1.txt"]


@pytest.mark.parametrize("part", ["x" * 300, "file/flagged"], ids=["too-long", "below-a-file"])
def test_no_path_keeps_an_app_from_starting(tmp_path, caplog, part):
    """Whatever is wrong with the directory, set-up warns and the first flag raises with the path."""
    (tmp_path / "file").write_text("x")
    logger = made([gr.Textbox(label="a")], tmp_path / part)
    with pytest.raises(OSError, match=part[:30]):
        logger.flag(["x"])


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs to become another user")
def test_a_folder_one_may_not_enter_keeps_no_app_from_starting(tmp_path):
    """A directory below a folder that the process may not enter is a warning at set-up, too."""
    (tmp_path / "locked").mkdir(mode=0o700)
    child = os.fork()
    if child == 0:
        try:
            os.setuid(65534)
            made([gr.Textbox(label="a")], tmp_path / "locked" / "flagged")
            os._exit(0)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_a_label_that_begins_with_a_byte_order_mark(flag_dir):
    """The first column's name comes back as it was, and every start goes on in the same log."""
    for _ in range(3):
        made([gr.Textbox(label="\ufeffname")], flag_dir).flag(["x"])

    assert [path.name for path in flag_dir.glob("*.csv")] == ["logs.csv"]
    assert [dict(flag.values) for flag in read_flags(flag_dir)] == [{"\ufeffname": "x"}] * 3


@pytest.mark.parametrize("label", ["ed", "files", "g"])
def test_a_lone_file_in_a_column_of_json_is_a_file(flag_dir, label):
    """One array in an ImageEditor reads back as that file's absolute path, whatever the label."""
    made([gr.ImageEditor(label=label)], flag_dir).flag([np.zeros((2, 2, 3), np.uint8)])

    (flag,) = read_flags(flag_dir)
    assert flag[label] == str(flag_dir / label / "0.png")
    assert flag.files == (flag_dir / label / "0.png",)


@pytest.mark.parametrize("component", [gr.JSON, gr.State], ids=["json", "state"])
def test_data_that_looks_like_a_path_of_ours_is_data(flag_dir, component):
    """Components that hold no files claim none: their text stays as it was."""
    component = gr.State() if component is gr.State else gr.JSON(label="data")
    made([component], flag_dir).flag([{"ref": "data/0", "c": "component 0/0.png"}])

    (flag,) = read_flags(flag_dir)
    assert list(flag.values.values()) == [{"ref": "data/0", "c": "component 0/0.png"}]
    assert flag.files == ()


def test_a_logger_that_would_store_nothing_is_refused(flag_dir):
    """Where every component is excluded or a password, and no other column is wanted, set-up says so."""
    with pytest.raises(ValueError, match="nothing would be stored"):
        made([gr.Textbox(label="key", type="password")], flag_dir)
    assert made([gr.Textbox(label="key", type="password")], flag_dir, timestamp=True).flag(["x"]) == 1


def test_numpy_numbers_are_numbers(flag_dir):
    """NumPy scalars are stored as the numbers they are, in extra columns and deep in a State."""
    extras = {"loss": np.float32(0.5), "step": lambda: np.int64(5), "ok": np.True_}
    made([gr.State()], flag_dir, extra_columns=extras).flag([{"deep": [np.int64(7)]}])

    (flag,) = read_flags(flag_dir)
    assert list(flag.values.values()) == [{"deep": [7]}, 0.5, 5, True]


def test_on_flag_gets_the_text_that_is_stored(flag_dir):
    """What cannot be stored is replaced in what `on_flag` sees, too."""
    seen = []
    made([gr.Textbox(label="t")], flag_dir, on_flag=seen.append, comment=True).flag(["a\0b\ud800"], comment="\0")

    (flag,) = read_flags(flag_dir)
    assert seen == [flag]
    assert seen[0]["t"] == "a\ufffdb\ufffd"


@pytest.mark.parametrize("name", ["reviews.csv", "reviews-2.csv", "con.csv", "NUL.csv"])
def test_log_names_that_are_taken_are_refused(name):
    """The reviews' name and Windows' reserved names are no names for a log."""
    with pytest.raises(ValueError, match="log_name"):
        FlagLogger(log_name=name)


@pytest.mark.parametrize("values", ["ab", None, 5], ids=repr)
def test_values_that_are_no_list_are_refused(flag_dir, values):
    """One text is not one value for each component, and nothing is not either."""
    with pytest.raises(WrongValues):
        made([gr.Textbox(label="a"), gr.Textbox(label="b")], flag_dir).flag(values)
    assert not (flag_dir / "logs.csv").exists()


def test_the_names_of_a_video_and_its_subtitles_are_a_list(flag_dir, uploads):
    """Where one value held two files, the column of their names reads back as a list."""
    uploads.mkdir(exist_ok=True)
    for name in ("my.mp4", "my.srt"):
        (uploads / name).write_bytes(b"x")
    files = {
        name: {"path": str(uploads / name), "orig_name": name, "meta": {"_type": "gradio.FileData"}}
        for name in ("my.mp4", "my.srt")
    }
    logger = made([gr.Video(label="v"), gr.Image(label="im")], flag_dir, original_names=True)
    logger.flag([{"video": files["my.mp4"], "subtitles": files["my.srt"]}, None])
    logger.flag([{"video": files["my.mp4"], "subtitles": None}, None])

    assert [flag["v name"] for flag in read_flags(flag_dir)] == [["my.mp4", "my.srt"], "my.mp4"]


def test_a_file_in_a_column_without_a_folder_goes_nowhere(tmp_path):
    """A cell with a file in a column that has no folder is refused: its path would be absolute."""
    column = IMAGE[1].__class__("x", "json")
    with pytest.raises(WrongValues, match="'x'"):
        CsvLog(tmp_path).append(Entry((column,), [FileCell(("", ""), (StagedFile(tmp_path / "f"),))]))
