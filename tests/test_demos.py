"""The demos, each started as its first comment says, in a directory of its own."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from live import Tab, running

DEMOS = Path(__file__).parent.parent / "demos"
TRIED = {"auto", "blocks", "calculator", "reasons", "sepia"}
Start = Callable[..., Tab]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """`python demos/<name>.py` in an empty directory, open in a tab."""
    with ExitStack() as stack:

        def begin(name: str, auth: tuple[str, str] | None = None) -> Tab:
            url = stack.enter_context(running(DEMOS / f"{name}.py", tmp_path))
            return stack.enter_context(Tab(url, auth))

        yield begin


def log(tmp_path: Path) -> str:
    return (tmp_path / "flagged/logs.csv").read_bytes().decode()


def promised(name: str) -> str:
    """The log that a demo's first comment shows."""
    comment = (DEMOS / f"{name}.py").read_text().partition('"""')[0]
    return "".join(f"{line}\r\n" for line in re.findall(r"^#     (.*)$", comment, re.MULTILINE))


def test_calculator(start: Start, tmp_path: Path) -> None:
    """The calculator leaves what its comment shows."""
    tab = start("calculator")
    tab.fill(num1=5, operation="add", num2=7)

    tab.press("Submit")
    tab.press("Flag")

    assert log(tmp_path) == promised("calculator")


def test_sepia(start: Start, tmp_path: Path, picture: Path) -> None:
    """The sepia filter leaves what its comment shows."""
    tab = start("sepia")
    tab.fill(im=tab.upload(picture))

    tab.press("Submit")
    tab.press("Flag")

    assert log(tmp_path) == promised("sepia")
    assert (tmp_path / "flagged/im/0.png").read_bytes() == picture.read_bytes()
    assert (tmp_path / "flagged/Output/0.png").read_bytes().startswith(b"\x89PNG")


def test_reasons(start: Start, tmp_path: Path) -> None:
    """The code breaker leaves what its comment shows."""
    tab = start("reasons")
    for secret, button in (("Phhw ph dw wkh vwdwlrq", "Readable"), ("Khoor, zruog!", "Still gibberish")):
        tab.fill(secret=secret)
        tab.press("Submit")
        tab.press(button)

    assert log(tmp_path) == promised("reasons")


def test_blocks(start: Start, tmp_path: Path, picture: Path) -> None:
    """The Blocks recipe leaves what its comment shows, and tells how many flags there are."""
    tab = start("blocks")
    tab.fill(Picture=tab.upload(picture))

    tab.press("Draw")
    tab.press("Keep")

    assert log(tmp_path) == promised("blocks")
    assert (tmp_path / "flagged/Drawing/0.png").read_bytes().startswith(b"\x89PNG")


def test_auto(start: Start, tmp_path: Path) -> None:
    """The word counter leaves what its comment shows, but for the time, without a button pressed."""
    tab = start("auto", auth=("ada", "lovelace"))
    tab.fill(text="the quick brown fox")

    tab.press("Submit")

    when = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00")
    assert when.search(log(tmp_path))
    assert when.sub("", log(tmp_path)) == when.sub("", promised("auto"))


@pytest.mark.parametrize("name", sorted({path.stem for path in DEMOS.glob("*.py")} - TRIED))
def test_every_other_demo_starts(start: Start, name: str) -> None:
    """A demo that is tried elsewhere at least starts from its file, in any directory, and has buttons."""
    assert start(name).buttons()
