"""What README.md shows is run as it stands there."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import gradio as gr
import numpy as np
import pytest

from gradio_flagplus import FlagLogger

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")


def blocks(heading: str, language: str) -> list[str]:
    """The code of this language below a heading, `""` for what stands before the first."""
    sections = re.split(r"^## (.*)$", README, flags=re.MULTILINE)
    text = dict(zip(["", *sections[1::2]], sections[::2], strict=True))[heading]
    fenced = re.findall(r"^```(\w*)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    return [code for name, code in fenced if name == language]


@pytest.fixture
def flagged(tmp_path, monkeypatch) -> Path:
    """A directory `flagged` with an image column `im`, text `Output` and reasons, in the working directory."""
    monkeypatch.chdir(tmp_path)
    logger = FlagLogger(timestamp=True)
    logger.setup([gr.Image(label="im"), gr.Textbox(label="Output")], "flagged")
    rng = np.random.default_rng(1)
    for reasons in (["wrong"], ["wrong"], ["wrong", "blurry"], ["great"]):
        logger.flag([rng.integers(0, 256, (8, 8, 3), np.uint8), "a cat"], reasons, comment="see ears")
    return tmp_path / "flagged"


def test_the_first_example_leaves_the_log_that_is_shown(tmp_path, monkeypatch):
    """The example at the top, launched and flagged, leaves the CSV below it."""
    monkeypatch.chdir(tmp_path)
    launched: list[gr.Interface] = []
    monkeypatch.setattr(gr.Interface, "launch", lambda self: launched.append(self))
    (code,), (shown, *_) = blocks("", "python"), blocks("", "")
    exec(code, {})
    launched[0].flagging_callback.flag([5, "add", 7, 12], "wrong")

    assert (tmp_path / "flagged/logs.csv").read_bytes().decode() == shown.replace("\n", "\r\n")
    assert README.index(shown) < len("\n".join(README.splitlines()[:21]))  # within the first screen


def test_flags_become_a_training_set(flagged):
    """The lines from flags to a training set run, on a machine with `datasets`."""
    pytest.importorskip("datasets")
    section = "From flags to a training set"
    for line in blocks(section, "bash")[0].splitlines():
        words = shlex.split(line, comments=True)
        assert words[0] == "flagplus"
        subprocess.run([sys.executable, "-m", "gradio_flagplus", *words[1:]], check=True, cwd=flagged.parent)
    for code in blocks(section, "python"):
        exec(code, {})

    assert (flagged.parent / "wrong ones/flags.jsonl").read_text().count("\n") == 3


def test_reading_runs(flagged, capsys):
    """The loop over the flags runs and prints each of them with absolute paths."""
    code = blocks("On the command line", "python")[-1]
    names: dict[str, object] = {}
    exec(code, names)

    out = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in out] == ["0", "1", "2"]
    assert str(flagged / "im" / "0.png") in out[0]
    assert len(names["frame"]) == 4


def test_the_commands_are_there(flagged):
    """Every command that is listed exists and says what it does."""
    (listed,) = blocks("On the command line", "")
    for line in listed.splitlines():
        command = shlex.split(line, comments=True)[1]
        done = subprocess.run(
            [sys.executable, "-m", "gradio_flagplus", command, "--help"], capture_output=True, text=True, check=True
        )
        assert command in done.stdout


def test_a_panel_in_one_line(tmp_path, monkeypatch):
    """The panel's line puts a button on a page."""
    monkeypatch.chdir(tmp_path)
    code = blocks("In Blocks", "python")[-1]
    with gr.Blocks():
        names = {"FlagLogger": FlagLogger, "prompt": gr.Textbox(label="prompt"), "picture": gr.Image(label="picture")}
        exec(code, names)


def test_the_blocks_recipe(tmp_path, monkeypatch):
    """The recipe for Blocks sets up and binds; its function flags."""
    monkeypatch.chdir(tmp_path)
    code = blocks("In Blocks", "python")[0]
    with gr.Blocks():
        names = {"FlagLogger": FlagLogger, "prompt": gr.Textbox(label="prompt"), "picture": gr.Image(label="picture")}
        names["button"] = gr.Button()
        exec(code, names)
    names["logger"].flag(["a cat", None])

    assert (tmp_path / "flagged/logs.csv").read_text() == "prompt,picture\na cat,\n"
