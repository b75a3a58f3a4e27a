"""A person with a real browser: the page, Submit, Flag, and what is on disk then."""

from __future__ import annotations

import io
import re
import runpy
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import gradio as gr
import gradio.flagging
import numpy as np
import pytest
from browser import flagged, pictures, submit
from PIL import Image

if TYPE_CHECKING:
    from playwright.sync_api import Page

DEMOS = Path(__file__).parent.parent / "demos"
README = Path(__file__).parent.parent / "README.md"

Visit = Callable[[gr.Blocks], None]


@pytest.fixture
def visit(page: Page, serve: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Visit]:
    """Launch an app and open its page; leaves a screenshot of the end."""
    monkeypatch.setattr(gradio.flagging, "time", time)  # somebody looks here: "Saving..." must be seen
    yield lambda app: page.goto(serve(app)) and None
    page.screenshot(path=tmp_path / "page.png")
    page.close()  # before the server, which waits for its pages


@pytest.fixture
def demo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], gr.Blocks]:
    """The app of a demo, made in an empty directory."""
    monkeypatch.chdir(tmp_path)
    return lambda name: runpy.run_path(str(DEMOS / f"{name}.py"))["demo"]


def log(tmp_path: Path) -> str:
    return (tmp_path / "flagged/logs.csv").read_bytes().decode()


def calculate(page: Page, num1: str, operation: str, num2: str, shown: str) -> None:
    page.get_by_label("num1").fill(num1)
    page.get_by_label(operation, exact=True).check()
    page.get_by_label("num2").fill(num2)
    submit(page)
    page.wait_for_function("shown => document.querySelectorAll('input[type=number]')[2].value === shown", arg=shown)


@pytest.fixture
def example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> gr.Blocks:
    """The app of README's example, made in an empty directory; launched by the test instead."""
    [code] = re.findall("```python\n(import gradio.*?)```", README.read_text(), re.DOTALL)[:1]
    made: list[gr.Blocks] = []
    with monkeypatch.context() as patch:
        patch.chdir(tmp_path)
        patch.setattr(gr.Interface, "launch", lambda app: made.append(app))
        exec(compile(code, str(README), "exec"), {})
    return made[0]


def test_the_readmes_example_in_a_browser(page: Page, visit: Visit, example: gr.Blocks, tmp_path: Path) -> None:
    """Submit and "Flag as wrong" leave the log that README shows below its example, reason included."""
    [promised] = re.findall("```\n(num1,.*?)```", README.read_text(), re.DOTALL)
    visit(example)

    calculate(page, "5", "add", "7", shown="12")
    flagged(page, "Flag as wrong")

    assert log(tmp_path) == promised.replace("\n", "\r\n")


def test_the_calculator_demo_in_a_browser(
    page: Page, visit: Visit, demo: Callable[[str], gr.Blocks], tmp_path: Path
) -> None:
    """The guide's calculator, pressed by hand, leaves the guide's log."""
    visit(demo("calculator"))

    calculate(page, "5", "add", "7", shown="12")
    flagged(page)
    calculate(page, "6", "subtract", "1.5", shown="4.5")
    flagged(page)

    assert log(tmp_path) == "num1,operation,num2,Output\r\n5,add,7,12\r\n6,subtract,1.5,4.5\r\n"


def test_the_sepia_demo_in_a_browser(
    page: Page, visit: Visit, demo: Callable[[str], gr.Blocks], tmp_path: Path, picture: Path
) -> None:
    """A picture dropped on the page is kept byte for byte, and what the page shows as a PNG with the same pixels."""
    visit(demo("sepia"))

    page.locator("input[type=file]").first.set_input_files(picture)
    pictures(page, 1)
    submit(page)
    _, shown = pictures(page, 2)
    flagged(page)

    assert log(tmp_path) == "im,Output\r\nim/0.png,Output/0.png\r\n"
    assert (tmp_path / "flagged/im/0.png").read_bytes() == picture.read_bytes()
    with Image.open(tmp_path / "flagged/Output/0.png") as kept, Image.open(io.BytesIO(shown)) as seen:
        assert kept.format == "PNG"
        assert np.array_equal(np.asarray(kept.convert("RGB")), np.asarray(seen.convert("RGB")))
