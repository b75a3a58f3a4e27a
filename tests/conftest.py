"""What every test may use: a flagging directory, live servers and tabs, pictures, a browser."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

pytest_plugins = ("browser",)

# Before anything imports Gradio: no calls home, no Node server, uploads in a folder of this run's own.
_uploads = tempfile.mkdtemp(prefix="flagplus-uploads-")
atexit.register(shutil.rmtree, _uploads, ignore_errors=True)
os.environ.update(
    GRADIO_ANALYTICS_ENABLED="False",
    GRADIO_SSR_MODE="False",
    GRADIO_TEMP_DIR=_uploads,
    HF_HUB_OFFLINE="1",
    MPLBACKEND="Agg",
    NO_PROXY="127.0.0.1,localhost",
)
for name in ("GRADIO_ALLOW_FLAGGING", "GRADIO_FLAGGING_MODE", "GRADIO_SERVER_PORT", "GRADIO_SERVER_NAME"):
    os.environ.pop(name, None)

if TYPE_CHECKING:
    import gradio as gr
    from live import Tab


@pytest.fixture
def flag_dir(tmp_path: Path) -> Path:
    """A flagging directory that does not exist yet."""
    return tmp_path / "flagged"


@pytest.fixture
def uploads() -> Path:
    """Gradio's own upload folder in this run."""
    return Path(_uploads)


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """A PNG of 30 x 20 random pixels, as a person might upload it."""
    import numpy as np
    from PIL import Image

    path = tmp_path / "my photo.png"
    Image.fromarray(np.random.default_rng(7).integers(0, 256, (20, 30, 3), np.uint8)).save(path)
    return path


@pytest.fixture
def serve() -> Iterator[Callable[..., str]]:
    """Launch an app; returns its address. Closed, its thread gone, at the end of the test."""
    from live import serving

    with ExitStack() as servers:

        def start(app: gr.Blocks, **options: Any) -> str:
            return servers.enter_context(serving(app, **options))

        yield start


@pytest.fixture
def open_app(serve: Callable[..., str]) -> Iterator[Callable[..., Tab]]:
    """Launch an app and open it in a tab."""
    from live import Tab

    with ExitStack() as tabs:

        def start(app: gr.Blocks, **options: Any) -> Tab:
            auth = options.get("auth")
            return tabs.enter_context(Tab(serve(app, **options), auth if isinstance(auth, tuple) else None))

        yield start
