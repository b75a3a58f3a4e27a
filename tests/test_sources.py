"""Which files may be copied, by the judge itself and through every component that carries files."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import pytest
from gradio.data_classes import _StaticFiles

from gradio_flagplus import sources
from gradio_flagplus.errors import FileRefused
from gradio_flagplus.files import Staging
from gradio_flagplus.payload import Judge, convert

MARK = {"_type": "gradio.FileData"}
needs_posix = pytest.mark.skipif(os.name == "nt", reason="Windows has no such files")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Gradio's cache, a fresh one."""
    folder = tmp_path / "cache"
    folder.mkdir()
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(folder))
    return folder


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A file that the app has and never meant to show."""
    path = tmp_path / "private" / "secret.png"
    path.parent.mkdir()
    path.write_bytes(b"secret")
    return path


@pytest.fixture
def static(tmp_path: Path) -> Iterator[Path]:
    """A folder of static files."""
    folder = tmp_path / "static"
    folder.mkdir()
    before = list(_StaticFiles.all_paths)
    gr.set_static_paths([folder])
    yield folder
    _StaticFiles.all_paths[:] = before


@pytest.fixture
def staging(tmp_path: Path) -> Iterator[Staging]:
    with Staging(tmp_path / "staging") as staging:
        yield staging
    assert not list(tmp_path.glob("staging/*"))


def read(judge: Judge, path: str | Path) -> bytes:
    with judge.open(path) as file:
        return file.read()


def written(path: Path, data: bytes = b"bytes") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def test_a_file_in_the_cache_is_opened(cache):
    """What Gradio put into its cache may be copied."""
    assert read(Judge(), str(written(cache / "ab12" / "x.png"))) == b"bytes"


def test_the_cache_is_asked_for_at_each_call(cache, tmp_path, monkeypatch):
    """GRADIO_TEMP_DIR counts as it is when the flag comes, and the cache of another time no longer does."""
    judge, old, new = Judge(), written(cache / "x"), written(tmp_path / "later" / "x")
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "later"))

    assert read(judge, new) == b"bytes"
    with pytest.raises(FileRefused, match="neither in Gradio's cache"):
        judge.open(old)
    with judge.open(old, [str(cache)]) as file:
        assert file.name == str(old)


def test_the_default_cache_counts_where_none_is_set(tmp_path, monkeypatch):
    """Without GRADIO_TEMP_DIR it is the folder `gradio` in the system's temporary one."""
    monkeypatch.delenv("GRADIO_TEMP_DIR")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    assert read(Judge(), written(tmp_path / "gradio" / "1" / "x")) == b"bytes"


def test_static_and_allowed_paths_are_opened(cache, static, outside, tmp_path):
    """Static paths and allowed paths may be copied from, folders and single files alike."""
    file = written(static / "deep" / "x.css")

    assert read(Judge(), str(file)) == b"bytes"
    assert read(Judge([outside.parent]), str(outside)) == b"secret"
    assert read(Judge([str(outside)]), outside) == b"secret"
    with pytest.raises(FileRefused):
        Judge([tmp_path / "private" / "sec"]).open(outside)


def test_a_link_that_stays_inside_is_followed(cache):
    """A link in the cache to a file in the cache is that file."""
    target = written(cache / "a" / "x.png")
    (cache / "link.png").symlink_to(target)

    assert read(Judge(), str(cache / "link.png")) == b"bytes"


def test_a_cache_behind_a_link_is_the_cache(tmp_path, monkeypatch):
    """Where the temporary folder is itself a link, its files are still found inside it."""
    written(tmp_path / "real" / "x.png")
    (tmp_path / "linked").symlink_to(tmp_path / "real", target_is_directory=True)
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "linked"))

    assert read(Judge(), str(tmp_path / "linked" / "x.png")) == b"bytes"
    assert read(Judge(), str(tmp_path / "real" / "x.png")) == b"bytes"


def link_out(cache: Path, outside: Path) -> Path:
    (cache / "link.png").symlink_to(outside)
    return cache / "link.png"


def folder_link_out(cache: Path, outside: Path) -> Path:
    (cache / "folder").symlink_to(outside.parent, target_is_directory=True)
    return cache / "folder" / outside.name


def fifo(cache: Path, outside: Path) -> Path:
    os.mkfifo(cache / "pipe")
    return cache / "pipe"


def link_to_device(cache: Path, outside: Path) -> Path:
    (cache / "zero").symlink_to("/dev/zero")
    return cache / "zero"


def a_socket(cache: Path, outside: Path) -> Path:
    before = Path.cwd()
    os.chdir(cache)  # the name of a socket must be short
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind("s")
    finally:
        os.chdir(before)
    return cache / "s"


def loop(cache: Path, outside: Path) -> Path:
    (cache / "loop").symlink_to(cache / "loop")
    return cache / "loop"


REFUSED: list[Any] = [
    pytest.param(lambda cache, outside: outside, id="outside"),
    pytest.param(lambda cache, outside: f"{cache}/../private/secret.png", id="dots-out"),
    pytest.param(lambda cache, outside: f"{cache}/a/../x.png", id="dots-inside"),
    pytest.param(lambda cache, outside: f"{cache}/gone.png", id="gone"),
    pytest.param(lambda cache, outside: f"{cache}", id="the-cache-itself"),
    pytest.param(lambda cache, outside: f"{cache}/a", id="folder"),
    pytest.param(lambda cache, outside: "", id="empty"),
    pytest.param(lambda cache, outside: f"{cache}/x.png\0.txt", id="nul"),
    pytest.param(lambda cache, outside: f"{cache}/\ud800", id="surrogate"),
    pytest.param(lambda cache, outside: f"{cache}/" + "x" * 5000, id="long"),
    pytest.param(lambda cache, outside: f"file://{cache}/x.png", id="file-url"),
    pytest.param(lambda cache, outside: f"{cache}-other/x.png", id="like-the-cache"),
    pytest.param(link_out, id="link-out", marks=needs_posix),
    pytest.param(folder_link_out, id="folder-link-out", marks=needs_posix),
    pytest.param(loop, id="loop", marks=needs_posix),
    pytest.param(fifo, id="fifo", marks=needs_posix),
    pytest.param(a_socket, id="socket", marks=needs_posix),
    pytest.param(lambda cache, outside: "/dev/zero", id="device", marks=needs_posix),
    pytest.param(link_to_device, id="link-to-device", marks=needs_posix),
    pytest.param(lambda cache, outside: "/proc/self/environ", id="proc", marks=needs_posix),
]


@pytest.fixture
def hostile(request, cache, outside) -> str:
    """A path that must be refused."""
    written(cache / "x.png")
    (cache / "a").mkdir()
    written(cache.parent / "cache-other" / "x.png")
    return str(request.param(cache, outside))


@pytest.mark.parametrize("hostile", REFUSED, indirect=True)
def test_everything_else_is_refused(hostile):
    """What is no regular file in an allowed place is refused, and nothing blocks."""
    with pytest.raises(FileRefused, match="Nothing was written"):
        Judge().open(hostile)


@needs_posix
@pytest.mark.parametrize(
    "hostile", [pytest.param(fifo, id="fifo"), pytest.param(link_to_device, id="device")], indirect=True
)
def test_what_is_no_file_is_not_even_opened(hostile, monkeypatch):
    """Opening a device can do things: it is judged before."""
    monkeypatch.setattr(sources, "_opened", lambda *args: pytest.fail("it was opened"))

    with pytest.raises(FileRefused):
        Judge(["/dev"]).open(hostile)


@needs_posix
def test_a_pipe_put_in_its_place_does_not_block(cache, monkeypatch):
    """A fifo that takes a file's name after it was judged is opened without waiting, and refused."""
    path = written(cache / "a" / "x.png")
    opened = sources._opened

    def swapped(*args: Any) -> Any:
        path.unlink()
        os.mkfifo(path)
        return opened(*args)

    monkeypatch.setattr(sources, "_opened", swapped)

    with pytest.raises(FileRefused, match="no regular file"):
        Judge().open(path)


@needs_posix
@pytest.mark.parametrize("place", ["file", "folder"])
@pytest.mark.parametrize("walks", [True, False], ids=["walked", "named"])
def test_a_link_put_in_its_place_is_not_followed(cache, outside, monkeypatch, place, walks):
    """A link that takes a file's or a folder's name after it was judged does not lead out."""
    path = written(cache / "a" / "secret.png", b"harmless")
    opened = sources._opened

    def swapped(*args: Any) -> Any:
        path.unlink()
        if place == "file":
            path.symlink_to(outside)
        else:
            path.parent.rmdir()
            path.parent.symlink_to(outside.parent, target_is_directory=True)
        return opened(*args)

    monkeypatch.setattr(sources, "_opened", swapped)
    monkeypatch.setattr(sources, "_WALKS", walks)

    with pytest.raises(FileRefused):
        Judge().open(path)


def test_the_decision_is_about_the_open_file(cache, outside, staging):
    """What is copied is the file that was judged, whatever becomes of its name meanwhile."""
    path = written(cache / "a" / "x.png", b"judged")

    with Judge().open(path) as file:
        path.unlink()
        path.symlink_to(outside)

        assert staging.copy(file).path.read_bytes() == b"judged"


def test_no_descriptor_is_left_open(cache, outside):
    """Neither a file that was opened and closed nor one that was refused leaves anything open."""
    path, judge = written(cache / "a" / "x.png"), Judge()
    if not Path("/proc/self/fd").exists():
        pytest.skip("no list of open files on this system")
    read(judge, path)
    before = len(os.listdir("/proc/self/fd"))

    for _ in range(20):
        read(judge, path)
        with pytest.raises(FileRefused):
            judge.open(outside)
        with pytest.raises(FileRefused):
            judge.open(path.parent)

    assert len(os.listdir("/proc/self/fd")) == before


CARRIERS: list[Any] = [
    pytest.param(gr.Image, lambda file: file, id="Image"),
    pytest.param(gr.Audio, lambda file: file, id="Audio"),
    pytest.param(gr.Video, lambda file: {"video": file, "subtitles": None}, id="Video"),
    pytest.param(gr.File, lambda file: file, id="File"),
    pytest.param(gr.Files, lambda file: [file], id="Files"),
    pytest.param(gr.Gallery, lambda file: [{"image": file, "caption": None}], id="Gallery"),
    pytest.param(gr.Chatbot, lambda file: [{"role": "user", "content": {"file": file}}], id="Chatbot"),
    pytest.param(gr.Chatbot, lambda file: [[{"file": file}, None]], id="Chatbot-tuples"),
    pytest.param(gr.MultimodalTextbox, lambda file: {"text": "", "files": [file]}, id="MultimodalTextbox"),
    pytest.param(gr.ImageEditor, lambda file: {"background": None, "layers": [file]}, id="ImageEditor"),
    pytest.param(gr.AnnotatedImage, lambda file: {"image": file, "annotations": []}, id="AnnotatedImage"),
    pytest.param(gr.Dataframe, lambda file: {"headers": ["a"], "data": [[file]]}, id="Dataframe"),
    pytest.param(gr.HighlightedText, lambda file: [file], id="HighlightedText"),
]


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
@pytest.mark.parametrize(("component", "around"), CARRIERS)
def test_a_file_without_the_mark_is_refused(component, around, cache, staging):
    """A dict with a path but without Gradio's mark is refused where files are carried, even from the cache."""
    path = str(written(cache / "x.png"))

    for meta in ({}, {"meta": None}, {"meta": {}}, {"meta": {"_type": "x"}}, {"meta": ["gradio.FileData"]}):
        with pytest.raises(FileRefused, match="mark"):
            convert(component(), around({"path": path, **meta}), staging=staging, judge=Judge())


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
@pytest.mark.parametrize(("component", "around"), CARRIERS)
@pytest.mark.parametrize("hostile", REFUSED[:1], indirect=True)
def test_a_marked_file_outside_is_refused(component, around, hostile, staging):
    """The mark alone opens nothing."""
    with pytest.raises(FileRefused):
        convert(component(), around({"path": hostile, "meta": MARK}), staging=staging, judge=Judge())


@pytest.mark.parametrize("component", [gr.JSON, gr.State, gr.Textbox, gr.Code], ids=lambda cls: cls.__name__)
@pytest.mark.parametrize("meta", [{}, {"meta": MARK}], ids=["unmarked", "marked"])
def test_data_that_looks_like_a_file_is_data(component, meta, outside, staging):
    """In JSON, State and text a dict with a path is data like any other: stored as it is, nothing copied."""
    value = {"path": str(outside), "n": [1], **meta}

    assert convert(component(), value, staging=staging, judge=Judge()) == value


@pytest.mark.parametrize("text", ["", "no path", "/etc/passwd", "../x", "C:\\x"])
def test_text_in_place_of_a_file_is_judged_like_a_path(text, cache, staging):
    """A bare text in a file component is a path to be judged; empty text is no file."""
    if not text:
        assert convert(gr.Image(), text, staging=staging, judge=Judge()) == ""
        return
    with pytest.raises(FileRefused):
        convert(gr.Image(), text, staging=staging, judge=Judge())


@pytest.mark.parametrize(
    "path", [["/etc/passwd"], 5, True, {"path": "/etc/passwd"}], ids=["list", "number", "bool", "dict"]
)
def test_a_path_that_is_no_text_is_refused(path, staging):
    """A marked dict must name its file by text."""
    with pytest.raises(FileRefused):
        convert(gr.Image(), {"path": path, "meta": MARK}, staging=staging, judge=Judge())


def test_a_remote_url_is_never_fetched(staging, monkeypatch):
    """A URL in place of a file is stored as text, and nobody is asked for it."""
    monkeypatch.setattr(socket.socket, "connect", lambda *args: pytest.fail("somebody was asked"))
    url = "https://example.com/x.png?a=1"

    for value in (
        {"path": url, "meta": MARK},
        {"path": None, "url": url, "meta": MARK},
        {"path": "", "url": url, "meta": MARK},
        {"url": url},
        url,
    ):
        assert convert(gr.Image(), value, staging=staging, judge=Judge()) == url


def test_the_original_name_is_never_a_path(cache, staging, tmp_path):
    """A name that climbs out is a text to remember, and gives the file neither place nor a strange ending."""
    path = written(cache / "x")
    names = ["../../evil.png", "/etc/passwd", "a.p/../ng", "x.png/..", "x." + "e" * 40, "x.p\0g", "x.é", "x.tar gz"]

    for name in names:
        value = {"path": str(path), "orig_name": name, "meta": MARK}
        file: Any = convert(gr.File(), value, staging=staging, judge=Judge())

        assert file.name == name
        assert file.extension in ("", ".png")
        assert file.path.parent == tmp_path / "staging"


@pytest.mark.parametrize(
    ("name", "told", "extension"),
    [
        ("x.PNG", {}, ".PNG"),
        ("x.tar.gz", {}, ".gz"),
        ("x", {"orig_name": "y.Jpg"}, ".Jpg"),
        ("x", {"mime_type": "image/jpeg"}, ".jpg"),
        ("x", {"mime_type": "image/jpeg; q=1", "orig_name": "y.png"}, ".jpg"),
        ("x.a-b", {"mime_type": "no/such", "orig_name": 5}, ""),
        (".png", {}, ""),
    ],
)
def test_a_file_keeps_its_ending(name, told, extension):
    """The ending is the cached file's; where that has none, by what the upload told."""
    assert sources.extension_of(f"/cache/{name}", told) == extension


@needs_posix
def test_many_threads_are_judged_side_by_side(cache, outside):
    """Judging shares nothing between threads: each gets its own file or its own refusal."""
    paths = [written(cache / str(number) / "x", str(number).encode()) for number in range(8)]
    judge, wrong = Judge(), []

    def judged(number: int) -> None:
        for _ in range(30):
            if read(judge, paths[number]) != str(number).encode():
                wrong.append(number)
            with pytest.raises(FileRefused):
                judge.open(outside)

    threads = [threading.Thread(target=judged, args=[number]) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert not wrong
