"""What becomes of a component's value: labels and kinds, pictures and sound, streams, hooks, redaction."""

from __future__ import annotations

import base64
import io
import json
import math
import struct
import timeit
import wave
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import numpy as np
import pytest
from gradio.components.base import Component
from PIL import Image, ImageOps

from gradio_flagplus import images
from gradio_flagplus.cells import FileCell, StagedFile, cell_of, value_of
from gradio_flagplus.errors import FileRefused, FlagplusError, WrongValues
from gradio_flagplus.files import Staging
from gradio_flagplus.payload import Judge, column_of, convert, is_password, label_of

MARK = {"_type": "gradio.FileData"}
RANDOM = np.random.default_rng(4)
quiet = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")


with pytest.MonkeyPatch.context() as patch:
    # Gradio writes a .pyi file beside the module of every component that is defined.
    patch.setattr("gradio.component_meta.create_or_modify_pyi", lambda *args: None)

    class Loud(gr.Textbox):
        """A Textbox of somebody's own."""

    class Voice(gr.Audio):
        """A component of somebody's own that keeps a transcript beside the sound."""

        seen: Any = None

        def flag(self, payload: Any, flag_dir: str | Path = "") -> str:
            type(self).seen = payload
            folder = Path(flag_dir)
            (folder / "said.txt").write_text("hello")
            (folder / "deep").mkdir()
            (folder / "deep" / "voice.wav").write_bytes(Path(payload["path"]).read_bytes())
            return json.dumps({"text": str(folder / "said.txt"), "sound": "deep/voice.wav", "length": 1.5, "né": None})

    class Hooked(gr.Textbox):
        """Gives back what its test says."""

        def flag(self, payload: Any, flag_dir: str | Path = "") -> Any:
            return self.told(payload, Path(flag_dir))

    class Through(gr.Image):
        """Hands through what it was given."""

        def flag(self, payload: Any, flag_dir: str | Path = "") -> str:
            return str(payload["path"])

    class More(gr.Image):
        """Adds to what Gradio's own flag() gives."""

        def flag(self, payload: Any, flag_dir: str | Path = "") -> str:
            return json.dumps({"more": 1, **json.loads(super().flag(payload, flag_dir))})


@pytest.fixture
def staging(tmp_path: Path) -> Iterator[Staging]:
    """Staging that must be empty once it is left."""
    with Staging(tmp_path / "staging") as staging:
        yield staging
    assert not list(tmp_path.glob("staging/*"))


@pytest.fixture
def convert_it(staging: Staging) -> Callable[..., Any]:
    """`convert` with a judge who knows Gradio's cache."""

    def convert_(component: Component, value: object, **options: Any) -> Any:
        return convert(component, value, **{"staging": staging, "judge": Judge(), **options})

    return convert_


@pytest.fixture
def cached(uploads: Path, request: pytest.FixtureRequest) -> Callable[..., dict[str, Any]]:
    """A marked dict for a file in Gradio's cache."""

    def make(name: str, data: bytes, **told: Any) -> dict[str, Any]:
        folder = uploads / f"{abs(hash(request.node.name))}-{len(list(uploads.iterdir()))}"
        folder.mkdir(parents=True)
        (folder / name).write_bytes(data)
        return {"path": str(folder / name), "url": None, "meta": MARK, **told}

    return make


def pixels(file: StagedFile | Path | io.BytesIO) -> np.ndarray:
    with Image.open(file.path if isinstance(file, StagedFile) else file) as image:
        return np.array(image)


def picture(*shape: int) -> np.ndarray:
    return RANDOM.integers(0, 256, shape, np.uint8)


def webp(image: Image.Image, **options: Any) -> bytes:
    with io.BytesIO() as out:
        image.save(out, "WEBP", **options)
        return out.getvalue()


# ---- labels and kinds


class Translated:
    """A label as gr.I18n makes it."""

    def __init__(self, key: str) -> None:
        self.key = key

    def __str__(self) -> str:
        return "__i18n__" + json.dumps({"__type__": "translation_metadata", "key": self.key})


@pytest.mark.parametrize(
    ("label", "text"),
    [
        (None, ""),
        ("", ""),
        ("im", "im"),
        (5, "5"),
        ("../../evil", "../../evil"),
        (Translated("greeting"), "greeting"),
        (str(Translated('a "b" é')) + " (cm)", 'a "b" é (cm)'),
    ],
)
def test_a_label_is_what_a_person_reads(label, text):
    """A label is its text, a translated one its key, none is empty."""
    component = gr.Textbox()
    component.label = label

    assert label_of(component) == text


def test_gradios_own_translations_are_readable():
    """What gr.I18n gives is named by its key."""
    if not hasattr(gr, "I18n"):
        pytest.skip("this Gradio has no translations")
    assert label_of(gr.Textbox(label=gr.I18n(en={"hi": "Hello"})("hi"))) == "hi"


def test_only_a_password_is_a_password():
    """A Textbox that hides what is typed is a password, a text or a picture is not."""
    assert is_password(gr.Textbox(type="password"))
    assert not any(map(is_password, [gr.Textbox(), gr.Image(type="filepath"), gr.Number(), gr.State()]))


@quiet
@pytest.mark.parametrize(
    ("component", "kind"),
    [
        (gr.Textbox, "text"),
        (Loud, "text"),
        (gr.TextArea, "text"),
        (gr.Code, "text"),
        (gr.Markdown, "text"),
        (gr.HTML, "text"),
        (gr.ColorPicker, "text"),
        (gr.DateTime, "text"),
        (gr.Button, "text"),
        (lambda: gr.Radio(["a", "b"]), "text"),
        (lambda: gr.Radio([("one", "1"), ("two", "2")]), "text"),
        (lambda: gr.Radio([("one", 1), ("two", 2)]), "json"),
        (lambda: gr.Radio([1, 2]), "json"),
        (lambda: gr.Dropdown(["a", "b"]), "text"),
        (lambda: gr.Dropdown(["a", "b"], allow_custom_value=True), "text"),
        (lambda: gr.Dropdown(["a", 1]), "json"),
        (lambda: gr.Dropdown(["a", "b"], multiselect=True), "json"),
        (gr.Image, "file"),
        (gr.Audio, "file"),
        (gr.Video, "file"),
        (gr.PlayableVideo, "file"),
        (gr.File, "file"),
        (gr.Model3D, "file"),
        (gr.DownloadButton, "file"),
        (gr.UploadButton, "file"),
        (lambda: gr.File(file_count="multiple"), "json"),
        (lambda: gr.UploadButton(file_count="multiple"), "json"),
        (gr.Number, "json"),
        (gr.Slider, "json"),
        (gr.Checkbox, "json"),
        (lambda: gr.CheckboxGroup(["a"]), "json"),
        (gr.Dataframe, "json"),
        (gr.Label, "json"),
        (gr.JSON, "json"),
        (gr.State, "json"),
        (gr.Gallery, "json"),
        (gr.MultimodalTextbox, "json"),
        (gr.Chatbot, "json"),
        (gr.ImageEditor, "json"),
        (gr.AnnotatedImage, "json"),
        (gr.Plot, "json"),
        (gr.FileExplorer, "json"),
        (gr.HighlightedText, "json"),
        (gr.Timer, "json"),
    ],
)
def test_a_component_says_what_its_column_holds(component, kind):
    """Text where it can only be text, a file where it is one file, JSON for the rest."""
    made = component()
    column = column_of(made, "x")

    assert (column.name, column.kind, column.role) == ("x", kind, "component")
    assert column.component == made.get_block_name()


# ---- what a value is


def test_a_remote_name_in_text_stays_text(convert_it):
    """A URL, a data: URL or a path that somebody typed is text."""
    for text in ("https://example.com/x.png", "data:image/png;base64,AAAA", "/etc/passwd"):
        assert convert_it(gr.Textbox(), text) == text
        assert convert_it(gr.JSON(), {"a": [text]}) == {"a": [text]}
        if hasattr(gr, "ChatMessage"):
            assert convert_it(gr.State(), [text]) == [text]


def test_the_path_goes_before_the_url(convert_it, cached):
    """A file that lies in the cache is that file, though the browser also says where it was served."""
    value = cached("x.png", b"here", url="http://127.0.0.1:7860/gradio_api/file=x.png")

    assert convert_it(gr.Image(), value).path.read_bytes() == b"here"


@pytest.mark.parametrize("empty", [{"path": None, "url": None}, {"path": "", "url": ""}, {}])
def test_a_file_that_names_nothing_is_none(convert_it, empty):
    """A marked dict with neither path nor URL is an empty cell."""
    assert convert_it(gr.Image(), {**empty, "meta": MARK}) is None


SVG = b"<svg xmlns='http://www.w3.org/2000/svg'/>"


@pytest.mark.parametrize(
    ("url", "data", "extension"),
    [
        ("data:image/png;base64," + base64.b64encode(b"\x89PNG").decode(), b"\x89PNG", ".png"),
        ("data:image/jpeg;base64,/9j/", b"\xff\xd8\xff", ".jpg"),
        ("data:IMAGE/WEBP;base64,UklG", b"RIF", ".webp"),
        ("data:image/svg+xml,%3Csvg%20xmlns='http://www.w3.org/2000/svg'/%3E", SVG, ".svg"),
        ("data:audio/wav;charset=x;base64,UklGRg", b"RIFF", ".wav"),
        ("data:audio/wav;base64,UklG\nRg==", b"RIFF", ".wav"),
        ("data:image/png;base64,%2B%2B%2B%2B", b"\xfb\xef\xbe", ".png"),
        ("data:,hello", b"hello", ""),
        ("data:no/such-type;base64,", b"", ""),
    ],
)
@pytest.mark.parametrize("place", ["url", "path", "text", "unmarked"])
def test_a_data_url_becomes_a_file(convert_it, url, data, extension, place):
    """A data: URL is decoded and kept as a file of its type, wherever it stands for one."""
    value: Any = {"url": {"path": None, "url": url, "meta": MARK}, "path": {"path": url, "meta": MARK}, "text": url}
    file = convert_it(gr.Image(), value.get(place, {"url": url}))

    assert (file.path.read_bytes(), file.extension) == (data, extension)


@pytest.mark.parametrize("url", ["data:image/png;base64", "data:image/png;base64,****", "data:x;base64,A", "data:"])
def test_a_data_url_that_is_none_is_refused(convert_it, url):
    """What cannot be decoded is refused, not stored as something else."""
    with pytest.raises(WrongValues, match="no data: URL"):
        convert_it(gr.Image(), url)


def test_a_plot_keeps_its_picture_as_a_file(convert_it):
    """A matplotlib plot comes as a data: URL of Gradio's own WebP: it is kept as PNG of equal pixels."""
    raw = webp(Image.fromarray(picture(9, 8, 3)))
    value = {"type": "matplotlib", "plot": "data:image/webp;base64," + base64.b64encode(raw).decode()}

    found = convert_it(gr.Plot(), value)
    kept = convert_it(gr.Plot(), value, decode_webp=False)

    assert (pixels(found["plot"]) == pixels(io.BytesIO(raw))).all()
    assert (found["type"], found["plot"].extension) == ("matplotlib", ".png")
    assert (kept["plot"].path.read_bytes(), kept["plot"].extension) == (raw, ".webp")


def test_an_update_counts_as_the_value_it_sets(convert_it, cached):
    """gr.update(value=…) is stored as that value, one without a value as none, and a file in it is judged."""
    image = cached("x.png", b"here")

    assert convert_it(gr.Number(), {"__type__": "update", "value": 5}) == 5
    assert convert_it(gr.Textbox(), gr.update(value="x")) == "x"
    assert convert_it(gr.Textbox(), gr.update(visible=False)) is None
    assert convert_it(gr.Image(), {"__type__": "update", "value": image}).path.read_bytes() == b"here"
    with pytest.raises(FileRefused):
        convert_it(gr.Image(), {"__type__": "update", "value": {"path": "/etc/passwd", "meta": MARK}})


def test_values_of_any_depth_and_length_are_taken(convert_it):
    """4,301 digits, 100,000 brackets and 2,000 rows are values like any other."""
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]
    table = {"headers": ["a", "b"], "data": [[row, "x"] for row in range(2000)], "metadata": None}

    assert cell_of(convert_it(gr.Number(), 10**4301), "json") == "1" + "0" * 4301
    for component in (gr.JSON(), gr.State(), gr.Dataframe()):
        assert cell_of(convert_it(component, deep), "json") == "[" * 100_001 + "]" * 100_001
    assert convert_it(gr.Textbox(), "[" * 100_000) == "[" * 100_000
    assert value_of(str(cell_of(convert_it(gr.Dataframe(), table), "json")), "json") == table


class Live:
    """Something that JSON does not know."""

    def __repr__(self) -> str:
        return "<Live of ada>"


class Broken:
    def __repr__(self) -> str:
        raise RuntimeError("no")


def loop() -> list[Any]:
    value: list[Any] = [1]
    value.append(value)
    return value


@pytest.mark.parametrize(
    "value",
    [
        Live(),
        Broken(),
        {1, 2},
        b"x",
        np.zeros((2, 2)),
        object,
        Path("/x"),
        {"a": Live()},
        loop(),
        {1: {2: 3}},
    ],
    ids=lambda value: type(value).__name__,
)
@pytest.mark.parametrize("redact", [None, str.upper], ids=["plain", "redacted"])
def test_a_live_object_is_stored_as_its_repr(convert_it, value, redact):
    """Whatever a State holds can be flagged."""
    cell = cell_of(convert_it(gr.State(), value, redact=redact), "json")

    assert isinstance(cell, str)
    assert cell


@pytest.mark.parametrize(
    "component", [gr.State, gr.JSON, gr.Number, gr.Label, gr.Chatbot], ids=lambda cls: cls.__name__
)
@quiet
def test_numpy_scalars_are_numbers(convert_it, component):
    """A NumPy number is a number, and so is one inside a list."""
    value = [np.int64(5), np.float32(0.5), np.bool_(True), np.str_("x"), [np.float64(1.5)]]

    assert cell_of(convert_it(component(), value), "json") == '[5, 0.5, true, "x", [1.5]]'
    assert cell_of(convert_it(component(), np.int64(5)), "json") == "5"
    assert math.isnan(convert_it(component(), np.float64("nan")))


# ---- pictures from Python


@pytest.mark.parametrize("shape", [(4, 5), (4, 5, 3), (4, 5, 4)], ids=["gray", "rgb", "rgba"])
def test_an_array_is_stored_without_loss(convert_it, shape):
    """A uint8 array becomes a PNG of equal pixels, whatever its layout in memory."""
    array = picture(*shape)

    for given in (array, array[::-1], np.asfortranarray(array)):
        file = convert_it(gr.Image(), given)

        assert file.extension == ".png"
        assert (pixels(file) == given).all()


def test_a_picture_of_floats_is_stored_in_256_steps(convert_it):
    """Floats in [0, 1] become the nearest step, as Gradio rounds; steps come back exactly."""
    steps = picture(6, 5, 3)

    for kind in (np.float64, np.float32, np.float16):
        assert (pixels(convert_it(gr.Image(), (steps / 255).astype(kind))) == steps).all()
    assert (pixels(convert_it(gr.Image(), np.array([[0.0, 0.5, 1.0]]))) == [[0, 128, 255]]).all()
    assert (pixels(convert_it(gr.Image(), steps[:, :, :1])) == steps[:, :, 0]).all()


@pytest.mark.parametrize(
    "array",
    [
        np.zeros(3, np.uint8),
        np.zeros((2, 3, 5), np.uint8),
        np.zeros((2, 3, 2), np.uint8),
        np.zeros((1, 2, 3, 4), np.uint8),
        np.zeros((0, 3), np.uint8),
        np.zeros((), np.uint8),
        np.zeros((2, 3), np.int64),
        np.zeros((2, 3), np.complex64),
        np.zeros((2, 3), bool),
        np.full((2, 3), 1.01),
        np.full((2, 3), -0.01),
        np.full((2, 3), np.nan),
        np.array([["a"]]),
        np.array([[None]]),
    ],
    ids=lambda array: f"{array.shape}-{array.dtype}",
)
def test_what_is_no_picture_is_named(convert_it, array):
    """An array of a wrong shape or dtype is refused, and the error names both."""
    with pytest.raises(WrongValues) as caught:
        convert_it(gr.Image(), array)

    assert str(array.shape) in str(caught.value)
    assert str(array.dtype) in str(caught.value)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_a_pil_image_is_stored_without_loss(convert_it, mode):
    """A PIL image becomes a PNG of equal pixels in its own mode."""
    image = Image.frombytes(mode, (8, 4), picture(8 * 4 * 4).tobytes()) if mode == "I;16" else None
    image = image or Image.fromarray(picture(4, 8, 3)).convert(mode)

    file = convert_it(gr.Image(), image)

    with Image.open(file.path) as found:
        assert found.format == "PNG"
        assert (np.array(found.convert("RGBA")) == np.array(image.convert("RGBA"))).all() or mode == "I;16"
        assert (np.array(found) == np.array(image)).all()


@pytest.mark.parametrize("mode", ["CMYK", "F", "YCbCr", "HSV"])
def test_a_pil_image_that_png_cannot_hold_is_named(convert_it, mode):
    """A mode that PNG would change is refused by its name."""
    with pytest.raises(WrongValues, match=mode):
        convert_it(gr.Image(), Image.new(mode, (2, 3)))


def test_pictures_are_found_inside_other_values(convert_it):
    """Arrays and images in a Gallery, an ImageEditor or an AnnotatedImage are files there, too."""
    array, image = picture(4, 5, 3), Image.fromarray(picture(4, 5, 3))

    gallery = convert_it(gr.Gallery(), [(array, "a"), image])
    editor = convert_it(gr.ImageEditor(), {"background": array, "layers": [image], "composite": None})
    annotated = convert_it(gr.AnnotatedImage(), (array, [(np.eye(4, 5), "cat"), ((0, 0, 1, 1), "dog")]))

    assert (pixels(gallery[0][0]) == array).all()
    assert gallery[0][1] == "a"
    assert (pixels(gallery[1]) == np.array(image)).all()
    assert (pixels(editor["background"]) == array).all()
    assert (pixels(editor["layers"][0]) == np.array(image)).all()
    assert (pixels(annotated[1][0][0]) == np.eye(4, 5) * 255).all()
    assert annotated[1][1] == [[0, 0, 1, 1], "dog"]


@pytest.mark.parametrize("component", [gr.Audio, gr.Video, gr.File, gr.Model3D], ids=lambda cls: cls.__name__)
def test_an_array_where_no_picture_belongs_is_refused(convert_it, component):
    """An array in a component that shows no pictures is not taken for one."""
    with pytest.raises(WrongValues, match=r"\(4, 5, 3\) and dtype uint8"):
        convert_it(component(), picture(4, 5, 3))


@pytest.mark.parametrize("value", [b"x", {1}, object(), 1 + 2j], ids=lambda value: type(value).__name__)
def test_what_no_file_component_knows_is_refused(convert_it, value):
    """Something that is no file at all is named, not stored as its repr under a file's column."""
    with pytest.raises(WrongValues, match=type(value).__name__):
        convert_it(gr.Image(), value)


# ---- sound from Python


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int32])
@pytest.mark.parametrize("shape", [(1001,), (1001, 1), (1001, 2), (0,)], ids=str)
def test_sound_is_stored_with_the_same_samples(convert_it, dtype, shape):
    """(sample rate, array) becomes a WAV file that holds those samples."""
    info = np.iinfo(dtype)
    samples = RANDOM.integers(info.min, info.max, shape, dtype, endpoint=True)

    file = convert_it(gr.Audio(), (44100, samples))

    with wave.open(str(file.path)) as found:
        channels = shape[1] if len(shape) == 2 else 1
        assert (found.getframerate(), found.getnchannels(), found.getsampwidth()) == (44100, channels, samples.itemsize)
        assert (np.frombuffer(found.readframes(found.getnframes()), dtype) == samples.ravel()).all()
    assert file.extension == ".wav"


@pytest.mark.parametrize("dtype", ["<f4", "<f8", ">f4", ">i2"])
def test_sound_is_never_rounded(convert_it, dtype):
    """Floats, and samples in the other byte order, are written with their values."""
    samples = (RANDOM.standard_normal((500, 2)) * 1000).astype(dtype)
    raw = convert_it(gr.Audio(), (np.int64(8000), samples)).path.read_bytes()
    tag, channels, rate, _, frame, bits = struct.unpack("<HHIIHH", raw[20:36])
    size = len(samples.tobytes())

    assert raw[:4] + raw[8:16] == b"RIFFWAVEfmt "
    assert struct.unpack("<I", raw[4:8])[0] == len(raw) - 8
    assert (tag, channels, rate) == (3 if "f" in dtype else 1, 2, 8000)
    assert (frame, bits) == (2 * samples.itemsize, 8 * samples.itemsize)
    assert (np.frombuffer(raw[-size:], dtype.replace(">", "<")) == samples.ravel()).all()


@pytest.mark.parametrize(
    "value",
    [
        (8000, np.zeros((2, 2, 2), np.int16)),
        (8000, np.zeros(5, np.int64)),
        (8000, np.zeros(5, np.float16)),
        (8000, np.zeros(5, bool)),
        (0, np.zeros(5, np.int16)),
        (-1, np.zeros(5, np.int16)),
    ],
    ids=lambda value: f"{value[0]}-{value[1].shape}-{value[1].dtype}",
)
def test_what_is_no_sound_is_named(convert_it, value):
    """A wrong shape, dtype or rate is refused, and the error names shape and dtype."""
    with pytest.raises(WrongValues) as caught:
        convert_it(gr.Audio(), value)

    assert str(value[1].shape) in str(caught.value)
    assert str(value[1].dtype) in str(caught.value)


# ---- other Python values


def test_a_path_is_stored_if_it_is_allowed(convert_it, tmp_path):
    """A pathlib.Path is copied from allowed_paths, and refused from elsewhere."""
    path = tmp_path / "mine" / "x.mp3"
    path.parent.mkdir()
    path.write_bytes(b"sound")
    judge = Judge([tmp_path / "mine"])

    for component in (gr.Audio(), gr.File(), gr.Video()):
        file = convert_it(component, path, judge=judge)
        assert (file.path.read_bytes(), file.extension) == (b"sound", ".mp3")
    assert convert_it(gr.Gallery(), [(path, "c")], judge=judge)[0][0].path.read_bytes() == b"sound"
    assert convert_it(gr.Audio(), str(path), judge=judge).path.read_bytes() == b"sound"
    with pytest.raises(FileRefused, match="allowed_paths"):
        convert_it(gr.Audio(), path)
    assert path.read_bytes() == b"sound"


def test_a_frame_is_stored_as_the_browser_would_send_it(convert_it):
    """A pandas DataFrame and an array become headers and rows."""
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"a": [1, 2], "b": ["x", "=y"], "t": [datetime(2024, 5, 1, 12)] * 2})

    value = json.loads(str(cell_of(convert_it(gr.Dataframe(), frame), "json")))
    array = json.loads(str(cell_of(convert_it(gr.Dataframe(type="numpy"), np.eye(2)), "json")))

    assert value["headers"] == ["a", "b", "t"]
    assert [row[:2] for row in value["data"]] == [[1, "x"], [2, "=y"]]
    assert all(str(row[2]).startswith("2024-05-01") for row in value["data"])
    assert array["data"] == [[1, 0], [0, 1]]


@quiet
def test_figures_are_stored(convert_it):
    """A matplotlib figure is a PNG without Gradio's WebP in between, a plotly or altair one its JSON."""
    pyplot = pytest.importorskip("matplotlib.pyplot")
    figure = pyplot.figure(figsize=(2, 1), dpi=50)
    found = convert_it(gr.Plot(), figure)
    pyplot.close(figure)

    assert (found["type"], pixels(found["plot"]).shape) == ("matplotlib", (50, 100, 4))
    plotly = convert_it(gr.Plot(), pytest.importorskip("plotly.graph_objects").Figure())
    assert plotly["type"] == "plotly"
    assert "data" in json.loads(plotly["plot"])
    altair = pytest.importorskip("altair")
    assert convert_it(gr.Plot(), altair.Chart(altair.Data(values=[])).mark_bar())["type"] == "altair"
    with pytest.raises(WrongValues, match="Plot"):
        convert_it(gr.Plot(), object())


@quiet
def test_gradios_own_objects_are_taken(convert_it, cached):
    """FileData and ChatMessage, as functions return them, are what they stand for."""
    from gradio.data_classes import FileData

    file = FileData(**cached("x.png", b"here"))

    assert convert_it(gr.Image(), file).path.read_bytes() == b"here"
    message = gr.ChatMessage(role="user", content="hi")
    assert convert_it(gr.Chatbot(), [message])[0]["content"] == "hi"


# ---- WebP


@pytest.mark.parametrize(
    "told", [{"orig_name": "image.webp"}, {"orig_name": None, "size": None}], ids=["image", "gallery"]
)
@pytest.mark.parametrize("shape", [(20, 30, 3), (20, 30, 4)], ids=["rgb", "rgba"])
def test_a_picture_that_gradio_encoded_is_stored_as_png(convert_it, cached, told, shape):
    """What Gradio turned into WebP on its way to the browser becomes PNG of equal pixels; on request it stays."""
    raw = webp(Image.fromarray(picture(*shape)))
    value = cached("image.webp", raw, **told)

    file, kept = convert_it(gr.Image(), value), convert_it(gr.Image(), value, decode_webp=False)

    assert (pixels(file) == pixels(io.BytesIO(raw))).all()
    assert pixels(file).shape == shape
    assert (file.extension, kept.extension) == (".png", ".webp")
    assert kept.path.read_bytes() == raw


def test_gradio_still_names_its_pictures_so(convert_it):
    """What this Gradio's Image, Gallery and ImageEditor make of an array is recognised and stored as PNG."""
    array = picture(12, 10, 3)
    image = gr.Image().postprocess(array).model_dump()
    gallery = gr.Gallery().postprocess([array]).model_dump()
    editor = gr.ImageEditor().postprocess({"background": array, "layers": [], "composite": array}).model_dump()

    files = [
        convert_it(gr.Image(), image),
        convert_it(gr.Gallery(), gallery)[0]["image"],
        convert_it(gr.ImageEditor(), editor)["composite"],
    ]

    assert Path(image["path"]).suffix == ".webp"
    for file in files:
        assert file.extension == ".png"
        assert (pixels(file) == pixels(Path(image["path"]))).all()


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("image.webp", {"orig_name": "image.webp", "size": 12, "mime_type": "image/webp"}),
        ("image.webp", {"orig_name": "image.webp", "size": 12}),
        ("holiday.webp", {"orig_name": "holiday.webp"}),
        ("image.png", {"orig_name": "image.png"}),
    ],
)
def test_a_picture_of_the_users_keeps_its_bytes(convert_it, cached, name, told):
    """What was uploaded, or has a name of its own, is stored as it is."""
    raw = webp(Image.fromarray(picture(5, 5, 3)))

    assert convert_it(gr.Image(), cached(name, raw, **told)).path.read_bytes() == raw


def test_orientation_and_colour_profile_are_kept(convert_it, cached):
    """A WebP with an orientation mark looks the same as PNG, and so do its colours."""
    image = Image.fromarray(picture(6, 4, 3))
    exif = Image.Exif()
    exif[274] = 6
    raw = webp(image, exif=exif.tobytes(), icc_profile=b"a profile", lossless=True)

    file = convert_it(gr.Image(), cached("image.webp", raw))

    with Image.open(file.path) as found, Image.open(io.BytesIO(raw)) as wanted:
        assert found.info["icc_profile"] == b"a profile"
        assert found.getexif()[274] == 6
        upright, should = ImageOps.exif_transpose(found), ImageOps.exif_transpose(wanted)
        assert upright.size == should.size == (6, 4)
        assert (np.array(upright) == np.array(should)).all()


def test_what_must_stay_webp_stays(convert_it, cached):
    """An animation, and bytes that Pillow cannot read, are kept as they are."""
    frames = [Image.fromarray(picture(5, 5, 3)) for _ in range(3)]
    moving = webp(frames[0], save_all=True, append_images=frames[1:])
    still = webp(frames[0])

    for raw in (moving, b"RIFF....WEBPnonsense", b"", still[: len(still) // 2]):
        file = convert_it(gr.Image(), cached("image.webp", raw))
        assert (file.path.read_bytes(), file.extension) == (raw, ".webp")


def test_a_copy_is_no_second_name_for_gradios_file(convert_it, cached):
    """What was flagged does not change with the cache: Gradio writes an equal picture to the same file again."""
    value = cached("x.png", b"flagged")
    file = convert_it(gr.Image(), value)

    with open(value["path"], "r+b") as cache_file:
        cache_file.write(b"changed")

    assert file.path.read_bytes() == b"flagged"


# ---- streams


class Streamed:
    """An app with streams, as each generation of Gradio keeps them."""

    def __init__(self, component: Component, chunks: Any, run: Any) -> None:
        self.pending_streams = {"session": {run: {component._id: chunks}}}
        self.parent = None
        component.parent = self


def segments(*data: bytes, extension: str) -> SimpleNamespace:
    return SimpleNamespace(segments=[{"id": "1", "data": d, "duration": 1.0, "extension": extension} for d in data])


@pytest.mark.parametrize(
    ("chunks", "run", "tail", "extension"),
    [
        (segments(b"one", b"two", extension=".aac"), "r1", "/playlist.m3u8", ".aac"),
        (segments(b"one", b"two", extension=".ts"), 7, "/playlist.m3u8", ".ts"),
        ([b"one", None, b"two"], 140, "", ".mp3"),
    ],
    ids=["gradio6-audio", "gradio5-video", "gradio4-audio"],
)
def test_a_streamed_output_is_kept_as_one_file(convert_it, chunks, run, tail, extension):
    """What a streaming output has sent so far is kept, chunk after chunk."""
    component = gr.Audio(streaming=True)
    Streamed(component, chunks, run)
    value = {"path": f"session/{run}/{component._id}{tail}", "is_stream": True, "orig_name": "x.mp3", "meta": MARK}

    file = convert_it(component, value)

    assert (file.path.read_bytes(), file.extension, file.name) == (b"onetwo", extension, "x.mp3")


def test_a_stream_that_is_not_this_components_is_refused(convert_it):
    """A stream that is gone, or another component's, is not given out; one without a sound yet is empty."""
    component, other = gr.Audio(streaming=True), gr.Audio(streaming=True)
    Streamed(component, segments(extension=".aac"), "r")
    told = {"is_stream": True, "meta": MARK}

    assert convert_it(component, {"path": f"session/r/{component._id}/playlist.m3u8", **told}) is None
    for path in (
        f"gone/r/{component._id}/x",
        f"session/gone/{component._id}/x",
        f"session/r/{other._id}/x",
        "x",
        "a/b/c",
    ):
        with pytest.raises(FileRefused, match="stream"):
            convert_it(component, {"path": path, **told})
    other.parent = component.parent
    with pytest.raises(FileRefused, match="stream"):
        convert_it(other, {"path": f"session/r/{component._id}/x", **told})


# ---- components with a flag() of their own


@pytest.fixture
def hooked() -> Callable[..., Hooked]:
    def make(told: Callable[[Any, Path], Any]) -> Hooked:
        component = Hooked()
        component.told = told
        return component

    return make


def test_a_components_own_flag_is_respected(convert_it, cached):
    """Its flag() is called with a folder in staging, and what it leaves there is kept where it names it."""
    found = convert_it(Voice(), cached("v.wav", b"sound"))
    cell = cell_of(found, "file")

    assert found["text"].path.read_text() == "hello"
    assert found["sound"].path.read_bytes() == b"sound"
    assert (found["length"], found["né"]) == (1.5, None)
    assert isinstance(cell, FileCell)
    assert cell.text("voice", 3) == '{"text": "voice/3-0.txt", "sound": "voice/3-1.wav", "length": 1.5, "né": null}'


def test_a_components_own_flag_sees_only_what_was_judged(convert_it, cached, tmp_path):
    """A file that may not be copied is refused before flag() is called; one that may is a copy when it is."""
    secret = tmp_path / "secret.wav"
    secret.write_bytes(b"secret")
    Voice.seen = None
    for value in ({"path": str(secret), "meta": MARK}, {"path": str(secret)}, [{"path": str(secret)}]):
        with pytest.raises(FileRefused):
            convert_it(Voice(), value)
    assert Voice.seen is None

    value = cached("v.wav", b"sound", orig_name="my voice.wav")
    convert_it(Voice(), value)

    assert Voice.seen["path"] != value["path"]
    assert Voice.seen["orig_name"] == "my voice.wav"


@pytest.mark.parametrize(
    "text", ["hello", "1.50", "{not json", "", "true", "a\0b", "\ud800", "x" * 5000, "../x", "/etc/passwd", "."]
)
def test_text_from_flag_stays_as_it_is(convert_it, hooked, text):
    """What flag() returns is the cell's text, if it is neither a JSON list or object nor a file that it left."""
    assert convert_it(hooked(lambda payload, folder: text), "x") == text


def test_a_files_path_from_flag_is_the_file(convert_it, hooked, tmp_path):
    """A path of what flag() left in its folder is that file; a link out of it is refused."""
    (tmp_path / "secret").write_bytes(b"secret")

    def left(payload: Any, folder: Path) -> str:
        (folder / "x.txt").write_text(payload)
        return str(folder / "x.txt")

    def linked(payload: Any, folder: Path) -> str:
        (folder / "x").symlink_to(tmp_path / "secret")
        return str(folder / "x")

    found = convert_it(hooked(left), "payload")
    assert (found.path.read_text(), found.extension, found.name) == ("payload", ".txt", "x.txt")
    with pytest.raises(FileRefused, match="link out"):
        convert_it(hooked(linked), "payload")


def test_a_flag_that_hands_a_file_through_keeps_it(convert_it, cached):
    """A flag() that returns the path it was given leaves that file, not a path of staging."""

    assert convert_it(Through(), cached("x.png", b"here")).path.read_bytes() == b"here"


def test_gradios_own_flag_may_be_called_by_an_override(convert_it, cached):
    """A flag() that only adds to Gradio's, which copies into the folder, keeps the file that was copied."""

    found = convert_it(More(), cached("x.png", b"here"))

    assert found["more"] == 1
    assert found["path"].path.read_bytes() == b"here"


def test_what_flag_raises_is_this_flags_failure(convert_it, hooked, staging):
    """A flag() that raises fails the flag with an error of ours that says whose it was; None is not asked about."""

    def broken(payload: Any, folder: Path) -> str:
        (folder / "half").write_text("x")
        raise KeyError("oops")

    with pytest.raises(WrongValues, match=r"Hooked.*KeyError.*oops"):
        convert_it(hooked(broken), "x")
    assert convert_it(hooked(broken), None) is None


# ---- redaction


def test_every_text_is_redacted_before_anything_is_written(convert_it, cached, tmp_path):
    """Texts of every depth, captions, file names, reprs and keys of data go through redact; files' bytes do not."""
    image = cached("x.png", b"bytes", orig_name="Ada Lovelace.png")
    redact = lambda text: text.replace("Ada", "***")  # noqa: E731

    gallery = convert_it(gr.Gallery(), [{"image": image, "caption": "Ada at work"}], redact=redact)
    state = convert_it(gr.State(), {"Ada": ["Ada", 1, Named("Ada")]}, redact=redact)

    assert (gallery[0]["caption"], gallery[0]["image"].name) == ("*** at work", "*** Lovelace.png")
    assert state == {"***": ["***", 1, "<Named ***>"]}
    assert convert_it(gr.Textbox(), "Ada", redact=redact) == "***"
    assert convert_it(gr.Image(), "https://x/Ada.png", redact=redact) == "https://x/***.png"
    assert convert_it(gr.Textbox(), {"a": "Ada"}, redact=redact) == {"a": "***"}
    assert not [path for path in tmp_path.rglob("*") if "Ada" in path.name]


class Named:
    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"<Named {self.name}>"


def test_a_components_own_flag_gets_redacted_text(convert_it, hooked, tmp_path):
    """What flag() writes into its folder was redacted before."""

    def kept(payload: Any, folder: Path) -> str:
        (folder / "x.txt").write_text(payload)
        return json.dumps({"file": "x.txt", "text": "Ada again"})

    found = convert_it(hooked(kept), "I am Ada", redact=lambda text: text.replace("Ada", "***"))

    assert found["file"].path.read_text() == "I am ***"
    assert found["text"] == "*** again"


# ---- failures and cost


def test_a_failure_leaves_nothing_in_staging(tmp_path, cached):
    """If the last of several files is refused, the first ones are gone with it."""
    folder = tmp_path / "fails"
    value = [{"image": cached("x.png", b"x")}, {"image": {"path": "/etc/passwd", "meta": MARK}}]

    with pytest.raises(FlagplusError), Staging(folder) as staging:
        convert(gr.Gallery(), value, staging=staging, judge=Judge())

    assert not list(folder.iterdir())


def test_text_and_numbers_touch_no_disk(tmp_path):
    """Where there is no file, staging is not even made."""
    staging = Staging(tmp_path / "never")

    for component, value in ((gr.Textbox(), "x"), (gr.Number(), 5), (gr.JSON(), {"a": 1}), (gr.Image(), None)):
        convert(component, value, staging=staging, judge=Judge())

    assert not (tmp_path / "never").exists()


def test_text_and_numbers_cost_next_to_nothing(staging):
    """A plain value in a plain component costs microseconds."""
    judge, box = Judge(), gr.Textbox()

    spent = min(timeit.repeat(lambda: convert(box, "x", staging=staging, judge=judge), number=1000, repeat=5)) / 1000

    assert spent < 50e-6


@pytest.mark.stress
def test_a_large_picture_is_encoded_fast():
    """A picture of ten megapixels becomes PNG in a few seconds at most: the level is the fast one."""
    array = np.repeat(np.repeat(picture(250, 400, 3), 10, 0), 10, 1)

    assert min(timeit.repeat(lambda: images.png_of(array), number=1, repeat=2)) < 5
