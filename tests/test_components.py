"""Every component that Gradio has, with what the browser would send: flagged, written, read back equal."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import gradio as gr
import pytest
from gradio.components.base import Component

from gradio_flagplus import record
from gradio_flagplus.cells import cell_of, value_of
from gradio_flagplus.columns import Column, name_columns
from gradio_flagplus.entry import Entry
from gradio_flagplus.log import CsvLog
from gradio_flagplus.payload import Judge, column_of, convert

MARK = {"_type": "gradio.FileData"}


def classes() -> list[type[Component]]:
    """Every component class of this Gradio, templates and all, the abstract ones left out."""
    found: set[type[Component]] = set()
    todo: list[type[Component]] = [Component]
    while todo:
        for cls in todo.pop().__subclasses__():
            todo.append(cls)
            if cls.__module__.startswith("gradio.") and not inspect.isabstract(cls) and cls.__name__ != "FormComponent":
                found.add(cls)
    return sorted(found, key=lambda cls: cls.__name__)


CLASSES = [cls for cls in classes() if not cls.__module__.startswith("gradio.cli")]


@pytest.fixture
def upload(uploads: Path) -> Callable[..., dict[str, Any]]:
    """A file as the browser names it after an upload: a marked dict with a path in Gradio's cache."""

    def make(name: str, data: bytes | None = None) -> dict[str, Any]:
        folder = uploads / os.urandom(8).hex()
        folder.mkdir(parents=True)
        (folder / name).write_bytes(os.urandom(50) if data is None else data)
        return marked(folder / name)

    return make


def marked(path: Path) -> dict[str, Any]:
    url = f"http://127.0.0.1:7860/gradio_api/file={path}"
    name, size = path.name, path.stat().st_size
    told = {"size": size, "mime_type": "application/octet-stream", "is_stream": False}
    return {"path": str(path), "url": url, "orig_name": name, **told, "meta": MARK}


def dumped(value: Any) -> Any:
    return value.model_dump() if hasattr(value, "model_dump") else value


def samples(cls: type[Component], upload: Callable[..., dict[str, Any]]) -> list[Any]:
    """Payloads of this class that say more than its own example does."""
    table = {"headers": ["a", "b"], "data": [[1, "x"], [None, "=1+1"]], "metadata": None}
    messages = [
        {"role": "user", "content": "hello", "metadata": None, "options": None},
        {"role": "user", "content": {"file": upload("q.png"), "alt_text": None, "type": "file"}, "metadata": None},
        {"role": "assistant", "content": [{"type": "text", "text": "-5"}, {"type": "file", "file": upload("a.wav")}]},
    ]
    tuples = [["hi", None], [{"file": upload("q.png"), "alt_text": "q"}, "a picture"], [None, ["/not/a/file"]]]
    editor = {"background": upload("b.png"), "layers": [upload("l.png"), upload("m.png")], "composite": upload("c.png")}
    annotated = {"image": upload("i.png"), "annotations": [{"image": upload("m.png"), "label": "cat"}]}
    plots = [{"type": "plotly", "plot": '{"data":[{"y":[1,2.50]}]}'}, {"type": "altair", "plot": "{}"}]
    known: dict[str, list[Any]] = {
        "AnnotatedImage": [annotated],
        "Chatbot": [messages, tuples],
        "CheckboxGroup": [["a", "b"], []],
        "Dataframe": [table, {"headers": [], "data": []}],
        "Gallery": [
            [{"image": upload("one.jpg"), "caption": 'a, "b"'}, {"image": upload("two.png"), "caption": None}],
            [{"video": upload("clip.mp4"), "caption": "moves"}],
            [],
        ],
        "HighlightedText": [[{"token": "=x", "class_or_confidence": 0.5}, {"token": "y", "class_or_confidence": None}]],
        "HTML": ["<b>x</b>"],
        "ImageEditor": [editor, {"background": None, "layers": [], "composite": None}],
        "ImageSlider": [[upload("l.png"), upload("r.png")], [upload("l.png"), None]],
        "JSON": [{"path": "/etc/passwd", "n": [1, 1.5, None, True]}, "5", 5, [], "text", editor],
        "Label": [{"label": "cat", "confidences": [{"label": "cat", "confidence": 0.9}]}],
        "MultimodalTextbox": [{"text": "see", "files": [upload("x.png"), upload("y.wav")]}, {"text": "", "files": []}],
        "Number": [5, -1.5, 0],
        "Plot": plots,
        "State": [{"a": [1, "x"]}, "5", 5, ["5"]],
        "Textbox": ["5", "-5", "=1+1", "a\r\nb", "{}", "null"],
        "Video": [
            upload("v.mp4"),
            {"video": upload("v.mp4"), "subtitles": None},
            {"video": upload("v.mp4"), "subtitles": upload("s.vtt")},
        ],
    }
    for name in ("Audio", "DownloadButton", "File", "Image", "Model3D", "SimpleImage", "UploadButton"):
        known[name] = [upload("x.png"), upload("name without a suffix")]
    known["Files"] = [[upload("1.pdf"), upload("2.tar.gz"), upload("none")], []]
    return next((known[base.__name__] for base in cls.__mro__ if base.__name__ in known), [])


def own_example(component: Component, upload: Callable[..., dict[str, Any]]) -> list[Any]:
    """What the component gives as its example, each remote file in it replaced by one that was uploaded."""

    def local(node: Any) -> Any:
        if isinstance(node, dict) and node.get("meta") == MARK:
            return upload(Path(str(node["path"])).name)
        if isinstance(node, dict):
            return {key: local(child) for key, child in node.items()}
        return [local(child) for child in node] if isinstance(node, list | tuple) else node

    with suppress(NotImplementedError):
        return [local(dumped(component.example_payload()))]
    with suppress(NotImplementedError):
        return [local(dumped(component.postprocess(component.example_value())))]
    return []


def bytes_in(node: Any) -> int:
    """How many files there are in what was read back."""
    if isinstance(node, dict | list):
        return sum(bytes_in(child) for child in (node.values() if isinstance(node, dict) else node))
    return isinstance(node, bytes)


class Written:
    """A log with one column, and what can be read back from it."""

    def __init__(self, directory: Path, component: Component) -> None:
        self.component = component
        self.columns = name_columns([column_of(component, "x")])
        self.directory = directory
        self.log = CsvLog(directory)

    @property
    def column(self) -> Column:
        return self.columns[0]

    def flag(self, value: Any, **options: Any) -> Any:
        """Flag `value` and read it back: files as their bytes."""
        with self.log.staging() as staging:
            options = {"judge": Judge(), "decode_webp": True, "redact": None, **options}
            tree = convert(self.component, value, staging=staging, **options)
            receipt = self.log.append(Entry(self.columns, [cell_of(tree, self.column.kind)]))
        with open(self.directory / receipt.log, "rb") as file:
            rows = [record.decode(line) for lines in record.lines(file) for line in lines]
        self.text = rows[-1][0]
        return self.with_bytes(value_of(self.text, self.column.kind))

    def with_bytes(self, node: Any) -> Any:
        if isinstance(node, str) and self.column.folder and node.startswith(f"{self.column.folder}/"):
            return (self.directory / node).read_bytes()
        if isinstance(node, dict):
            return {key: self.with_bytes(child) for key, child in node.items()}
        return [self.with_bytes(child) for child in node] if isinstance(node, list) else node

    def files(self) -> list[Path]:
        """Every file that is there, but for the log and the bookkeeping."""
        return sorted(p for p in self.directory.glob("*/*") if p.is_file() and p.parent.name != ".flagplus")


@pytest.fixture
def written(flag_dir: Path) -> Callable[[Component], Written]:
    return lambda component: Written(flag_dir, component)


def expected(component: Component, node: Any, *, top: bool = True) -> Any:
    """The payload as it should be read back: each file as its bytes."""
    if top and node == "":
        return None
    if isinstance(node, dict) and node.get("meta") == MARK and not isinstance(component, gr.JSON | gr.State):
        return Path(node["path"]).read_bytes()
    if isinstance(node, dict):
        if top and "video" in node and not node.get("subtitles"):
            node = node["video"]
            return expected(component, node)
        return {key: expected(component, child, top=False) for key, child in node.items()}
    return [expected(component, child, top=False) for child in node] if isinstance(node, list | tuple) else node


def built(cls: type[Component]) -> Component:
    if cls.__name__ == "Dataset":
        return cls(components=["text"], samples=[["a"]])
    return cls()


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_what_a_component_holds_is_read_back(cls, upload, written):
    """A component's payload comes back equal, with its files' bytes, and leaves a folder only where there is a file."""
    component = built(cls)
    values = samples(cls, upload) + own_example(component, upload)
    if not values and not component.skip_api:
        pytest.fail(f"give a sample for {cls.__name__}")
    log = written(component)
    held = 0

    for value in [None, *values, None]:
        wanted = expected(component, value)

        assert log.flag(value) == wanted
        held += bytes_in(wanted)
    assert len(log.files()) == held
    folders = {path.name for path in log.directory.iterdir() if path.is_dir()} - {".flagplus"}
    assert folders == ({log.column.folder} if held else set())
    assert not list((log.directory / ".flagplus").glob("staging/*"))


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_what_is_redacted_is_nowhere_on_disk(cls, upload, written):
    """No text of a component's payload that redact took out is in any file or name under the flagging directory."""
    component = built(cls)
    log = written(component)
    taken: list[str] = []

    def redact(text: str) -> str:
        taken.append(text)
        return "x"

    for value in [*samples(cls, upload), *own_example(component, upload), "top secret"]:
        if not (value == "top secret" and log.column.kind == "file"):
            log.flag(value, redact=redact)

    kept = [path for path in log.directory.rglob("*") if path.is_file()]
    found = [text for text in taken if len(text) > 4 for path in kept if text.encode() in path.read_bytes()]
    assert found == []
    assert not [text for text in taken if len(text) > 4 for path in kept if text in path.name]
