"""review_page: look through the flags of a directory, decide about them, export them."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gradio as gr

from .desk import Desk

logger = logging.getLogger("gradio_flagplus")

DECISIONS = ("accepted", "rejected", "fixed")


def review_page(flagging_dir: str | Path, *, decisions: Sequence[str] = DECISIONS) -> gr.Blocks:
    """A page on which people look through the flags of a directory and decide about them.

    Flags are listed newest first and filtered on the server, so that a million are as usable as ten. Each value is
    shown in the component of its kind; what visitors typed is always shown as text. A decision is one of `decisions`,
    with a note, and is durable when the page shows it: a row of `reviews.csv` in the same directory. Of several
    decisions about a flag the latest counts. "Undo" is one more row, with an empty decision.

    The directory need not exist yet. Nothing in it is served as it is: files are copied to Gradio's cache as they are
    shown. Whoever can open the page can see the flags and decide, so give `launch(auth=…)` unless only you can.

    Raises `ValueError` if `decisions` is empty, names one twice, or one that is empty.
    """
    names = [name for name in decisions if isinstance(name, str) and name.strip()]
    if isinstance(decisions, str) or not names or len(set(names)) != len(list(decisions)):
        raise ValueError(f"decisions={decisions!r}: pass a list of different names, like ['accepted', 'rejected'].")
    return Desk(Path(os.path.abspath(flagging_dir)), names).blocks


def launch(
    directory: str | Path,
    host: str = "127.0.0.1",
    port: int | None = None,
    auth: tuple[str, str] | str | None = None,
    **options: Any,
) -> None:
    """Serve the review page of a directory until the process is stopped.

    `auth` is a user and a password, as a tuple or as `user:password`. `options` go to Gradio's `launch`. Opened to
    other machines without `auth`, the log and the page both say so.

    Raises `ValueError` for an `auth` without a password, and Gradio's `OSError` if the port is taken.
    """
    if isinstance(auth, str):
        user, _, password = auth.partition(":")
        auth = (user, password)
    if auth is not None and not all(auth):
        raise ValueError("auth needs a user and a password: 'user:password'.")
    is_open = auth is None and host not in ("127.0.0.1", "localhost", "::1")
    if is_open:
        logger.warning(
            "The review page listens on %s without a login: everybody who reaches this machine can see the flags of "
            "'%s' and decide about them. Pass auth='user:password'.",
            host,
            directory,
        )
    page = Desk(Path(os.path.abspath(directory)), DECISIONS, is_open=is_open)
    page.blocks.launch(server_name=host, server_port=port, auth=auth, **options)
