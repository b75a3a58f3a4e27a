"""What a client may not have copied, sent to a live server by hand: refused, nothing kept, and the app goes on."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import pytest
from live import GENERATION, Refused, Tab, interface, serving

from gradio_flagplus import FlagLogger

SECRET = b"the secret of somebody else's file"
MARK = {"meta": {"_type": "gradio.FileData"}}
GOOD: list[Any] = [None, None, None, None, None, {"path": "plain data"}, "fine"]


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The flagging directory of the app below."""
    return tmp_path_factory.mktemp("refused") / "flagged"


@pytest.fixture(scope="module")
def tab(kept: Path) -> Iterator[Tab]:
    """An app with a component of each kind that carries files, in a tab; one server for all, since none may harm it."""
    messages = {"type": "messages"} if GENERATION < 6 else {}
    app = interface(
        lambda *values: "fine",
        [
            gr.Image(label="image"),
            gr.File(label="files", file_count="multiple"),
            gr.Gallery(label="gallery"),
            gr.Chatbot(label="chat", **messages),
            gr.Dataframe(label="frame"),
            gr.JSON(label="json"),
        ],
        gr.Textbox(label="Output"),
        flagging_dir=str(kept),
        flagging_callback=FlagLogger(),
    )
    with serving(app) as url, Tab(url) as tab:
        yield tab


def in_component(place: int, file: dict[str, Any]) -> list[Any]:
    """A flag's values, all innocent but for `file` in one component, in the shape that component has."""
    message = {"role": "user", "metadata": None, "options": None, "content": [{"type": "file", "file": file}]}
    shapes = [
        file,
        [file],
        [{"image": file, "caption": None}],
        [message],
        {"headers": ["a"], "data": [[file]], "metadata": None},
    ]
    return [shapes[place] if at == place else value for at, value in enumerate(GOOD)]


def outside(tmp_path: Path, uploads: Path) -> Path:
    return tmp_path / "secret.png"


def upwards(tmp_path: Path, uploads: Path) -> Path:
    return uploads / ".." / os.path.relpath(tmp_path / "secret.png", uploads.parent)


def link(tmp_path: Path, uploads: Path) -> Path:
    (uploads / f"{tmp_path.name}.png").symlink_to(tmp_path / "secret.png")
    return uploads / f"{tmp_path.name}.png"


def linked_folder(tmp_path: Path, uploads: Path) -> Path:
    (uploads / tmp_path.name).symlink_to(tmp_path)
    return uploads / tmp_path.name / "secret.png"


def fifo(tmp_path: Path, uploads: Path) -> Path:
    os.mkfifo(uploads / f"{tmp_path.name}.png")
    return uploads / f"{tmp_path.name}.png"


def folder(tmp_path: Path, uploads: Path) -> Path:
    (uploads / tmp_path.name).mkdir()
    return uploads / tmp_path.name


def gone(tmp_path: Path, uploads: Path) -> Path:
    return uploads / "gone.png"


def system(tmp_path: Path, uploads: Path) -> Path:
    return Path("/etc/hostname")


def own_log(tmp_path: Path, uploads: Path) -> Path:
    return Path("logs.csv")


SOURCES = [outside, upwards, link, linked_folder, fifo, folder, gone, system, own_log]


def all_files(directory: Path) -> dict[str, bytes]:
    """Every file a flag may have left, bookkeeping aside, and its bytes."""
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for path in directory.rglob("*")
        if path.is_file() and path.relative_to(directory).parts[:2] != (".flagplus", "state")
    }


def refused(tab: Tab, data: list[Any]) -> bool:
    """Whether a flag with these values is turned away, be it by Gradio or by the logger."""
    try:
        return tab.send("Flag", data) == "Error!"
    except Refused:
        return True


def assert_only_a_good_flag_is_kept(tab: Tab, kept: Path, data: list[Any]) -> None:
    assert tab.send("Flag", GOOD) == "Flag"
    before = all_files(kept)

    assert refused(tab, data)
    assert all_files(kept) == before
    assert not any(SECRET in content for content in before.values())

    assert tab.send("Flag", GOOD) == "Flag"
    assert all_files(kept)["logs.csv"] == before["logs.csv"] + b',,,,,"{""path"": ""plain data""}",fine\r\n'


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.__name__)
@pytest.mark.parametrize("place", [0, 2], ids=["image", "gallery"])
def test_a_marked_file_from_elsewhere_is_refused(
    tab: Tab, kept: Path, tmp_path: Path, uploads: Path, source: Callable[[Path, Path], Path], place: int
) -> None:
    """What is no regular file in Gradio's own folders is never copied, whoever says that it is a file."""
    (tmp_path / "secret.png").write_bytes(SECRET)
    file = {"path": str(source(tmp_path, uploads)), "orig_name": "x.png", **MARK}

    assert_only_a_good_flag_is_kept(tab, kept, in_component(place, file))


@pytest.mark.parametrize("source", [outside, fifo, own_log], ids=lambda source: source.__name__)
@pytest.mark.parametrize("place", range(5), ids=["image", "files", "gallery", "chat", "frame"])
def test_an_unmarked_path_is_refused_where_files_belong(
    tab: Tab, kept: Path, tmp_path: Path, uploads: Path, source: Callable[[Path, Path], Path], place: int
) -> None:
    """In a component that carries files, a dict with a path but without Gradio's mark is refused, never copied."""
    (tmp_path / "secret.png").write_bytes(SECRET)

    assert_only_a_good_flag_is_kept(tab, kept, in_component(place, {"path": str(source(tmp_path, uploads))}))


def test_a_bare_path_in_place_of_an_image_is_not_copied(tab: Tab, kept: Path, tmp_path: Path) -> None:
    """A text in place of a file is kept as text at most: what it names is not copied."""
    (tmp_path / "secret.png").write_bytes(SECRET)

    refused(tab, [str(tmp_path / "secret.png"), *GOOD[1:]])

    assert not any(SECRET in content for content in all_files(kept).values())


def test_values_of_the_wrong_shape_harm_nobody(tab: Tab, kept: Path) -> None:
    """Whatever else a client sends, the log stays readable and the next flag works."""
    for junk in (7, "text", [], {}, [[[]]], {"path": None, **MARK}, {"path": 7, **MARK}, {"path": "", **MARK}):
        for place in range(5):
            refused(tab, [junk if at == place else value for at, value in enumerate(GOOD)])

    assert tab.send("Flag", GOOD) == "Flag"
    assert all_files(kept)["logs.csv"].endswith(b',,,,,"{""path"": ""plain data""}",fine\r\n')
