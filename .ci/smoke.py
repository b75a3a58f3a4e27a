# ruff: noqa: S603, T201
"""The installed package, away from its checkout: flag, read back, and the command."""

import subprocess
import sys
import tempfile
from pathlib import Path

import gradio as gr

import gradio_flagplus
from gradio_flagplus import FlagLogger, check, read_flags

assert "site-packages" in gradio_flagplus.__file__, gradio_flagplus.__file__

with tempfile.TemporaryDirectory() as folder:
    directory = Path(folder) / "flagged"
    logger = FlagLogger(comment=True)
    logger.setup([gr.Number(label="num1"), gr.Textbox(label="text")], directory)
    assert logger.flag([5, "=1+1"], flag_option="wrong", comment="no formula") == 1

    assert (directory / "logs.csv").read_bytes() == b"num1,text,flag,comment\r\n5,'=1+1,wrong,no formula\r\n"
    [flag] = read_flags(directory)
    assert (flag["num1"], flag["text"], flag.reasons, flag.comment) == (5, "=1+1", ("wrong",), "no formula")
    assert check(directory) == []

command = Path(sys.executable).with_name("flagplus")
assert "export" in subprocess.run([command, "--help"], check=True, capture_output=True, text=True).stdout
print("flagged, read back, checked:", gradio_flagplus.__version__)
