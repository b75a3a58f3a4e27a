"""What a visitor is told when something fails: why, and never where on the server the app lives."""

from __future__ import annotations

import html
import os
from pathlib import Path

import gradio as gr

from .errors import FlagplusError

# Gradio 4 has no green toast.
success = getattr(gr, "Success", gr.Info)


class Toast(gr.Error):
    """An error for the visitor only: whoever raised it first has logged it."""

    def __init__(self, message: str) -> None:
        super().__init__(html.escape(message, quote=False))
        self.print_exception = False

    def __str__(self) -> str:
        return str(self.message)  # Gradio 4 would show its repr


def why(error: Exception, directory: Path, otherwise: str) -> str:
    """What went wrong in words for the visitor; `otherwise` for errors that were not made for people."""
    if isinstance(error, FlagplusError):
        return str(error).replace(f"{directory.parent}{os.sep}", "")
    if isinstance(error, OSError) and error.filename and error.strerror:
        return f"'{os.path.basename(os.fspath(error.filename))}' cannot be read or written: {error.strerror}."
    return otherwise
