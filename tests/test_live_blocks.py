"""FlagLogger in gr.Blocks on a live server: the recipe, and what it says to whom leaves a part of it out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import gradio as gr
import pytest
from live import Refused, Tab

from gradio_flagplus import FlagLogger

Open = Callable[..., Tab]


def app(logger: FlagLogger, flag_dir: Path | None, *, preprocess: bool = False, forgotten: int = 0) -> gr.Blocks:
    """A Blocks app that flags a picture, a number and a text; set up for `flag_dir`, if any."""
    with gr.Blocks() as blocks:
        parts = [gr.Image(label="im"), gr.Slider(0, 9, 3, label="n"), gr.Textbox("hi", label="text")]
        button, kept = gr.Button("Keep"), gr.Number(label="kept")
        if flag_dir:
            logger.setup(parts, flag_dir)
        given = parts[: len(parts) - forgotten]
        button.click(lambda *v: logger.flag(list(v)), given, kept, preprocess=preprocess)
    return blocks


def log(flag_dir: Path) -> str:
    return (flag_dir / "logs.csv").read_bytes().decode()


def test_the_recipe_keeps_values_and_files(open_app: Open, flag_dir: Path, picture: Path) -> None:
    """`setup()` once, `flag()` from an event with `preprocess=False`: a row, the file's bytes, and the count back."""
    tab = open_app(app(FlagLogger(), flag_dir))
    tab.fill(im=tab.upload(picture), n=4)

    tab.press("Keep")
    tab.press("Keep")

    assert tab.shown("kept") == 2
    assert log(flag_dir) == "im,n,text\r\nim/0.png,4,hi\r\nim/1.png,4,hi\r\n"
    assert (flag_dir / "im/1.png").read_bytes() == picture.read_bytes()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        pytest.param({"flag_dir": None}, "was not set up", id="setup forgotten"),
        pytest.param({"preprocess": True}, "preprocess=False", id="preprocess=False forgotten"),
        pytest.param({"forgotten": 1}, "2 values were flagged for 3 components", id="a value forgotten"),
    ],
)
def test_what_was_left_out_is_named(
    open_app: Open,
    flag_dir: Path,
    picture: Path,
    caplog: pytest.LogCaptureFixture,
    options: dict[str, object],
    told: str,
) -> None:
    """An incomplete recipe fails at the first flag, says what is missing in the app and the log, and writes nothing."""
    tab = open_app(app(FlagLogger(), **{"flag_dir": flag_dir, **options}), show_error=True)  # type: ignore[arg-type]
    tab.fill(im=tab.upload(picture))

    with pytest.raises(Refused, match=told):
        tab.press("Keep")

    assert told in caplog.text
    assert not flag_dir.exists() or not list(flag_dir.glob("[!.]*"))


def test_several_reasons_and_a_comment_go_with_one_flag(open_app: Open, flag_dir: Path) -> None:
    """A Blocks app may pass several reasons at once, and a comment."""
    logger = FlagLogger()
    with gr.Blocks() as blocks:
        text = gr.Textbox("hi", label="text")
        why = gr.CheckboxGroup(["wrong", "rude"], label="why")
        note = gr.Textbox(label="note")
        kept = gr.Number(label="kept")
        logger.setup([text], flag_dir)
        gr.Button("Keep").click(
            lambda t, w, n: logger.flag([t], flag_option=w, comment=n), [text, why, note], kept, preprocess=False
        )
    tab = open_app(blocks)
    tab.fill(why=["wrong", "rude"], note="no greeting, please")

    tab.press("Keep")

    assert log(flag_dir) == 'text,flag,comment\r\nhi,wrong|rude,"no greeting, please"\r\n'
