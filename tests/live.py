"""A live Gradio server in this process, and a browser tab in miniature that talks to it over HTTP.

The tab does what Gradio's page does: it reads `/config`, uploads files, keeps a value for each component, and runs
the events of a button in order, `.then` and `.success` included; queued ones through the queue, the others (a flag is
one) through `/run/<api_name>`.
"""

from __future__ import annotations

import json
import mimetypes
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace, TracebackType
from typing import Any
from uuid import uuid4

import gradio as gr
import gradio.flagging
import httpx

GENERATION = int(gr.__version__.partition(".")[0])
MODE = "flagging_mode" if GENERATION > 4 else "allow_flagging"
"""What `gr.Interface` calls the parameter that takes "manual", "auto" or "never"."""

# Gradio holds the flag button for 0.8 s after the flag so that a person sees it change; nobody looks here.
gradio.flagging.time = SimpleNamespace(sleep=lambda seconds: None)


def interface(*args: Any, mode: str = "manual", **options: Any) -> gr.Interface:
    """A `gr.Interface` on any generation of Gradio."""
    return gr.Interface(*args, **{MODE: mode}, **options)


def free_port() -> int:
    """A port that nobody listens on, out of the range in which Gradio looks by itself."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def serving(app: gr.Blocks, **options: Any) -> Iterator[str]:
    """Launch `app` on a port of its own; gives its address, closes it at the end."""
    for left in (2, 1, 0):
        try:
            app.launch(
                server_name="127.0.0.1", server_port=free_port(), prevent_thread_lock=True, quiet=True, **options
            )
            break
        except OSError:  # somebody else took the port in between
            if not left:
                raise
    try:
        yield str(app.local_url).rstrip("/")
    finally:
        app.close(verbose=False)


@contextmanager
def running(script: Path, directory: Path) -> Iterator[str]:
    """Run `python <script>` in `directory`, as a person would; gives the app's address once it listens."""
    environment = {**os.environ, "GRADIO_SERVER_PORT": str(free_port()), "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        [sys.executable, str(script)],
        cwd=directory,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None
        try:
            said = ""
            for line in process.stdout:
                said += line
                if found := re.search("http://127.0.0.1:[0-9]+", line):
                    yield found[0]
                    break
            else:
                raise AssertionError(f"{script} ended early:\n{said}")
        finally:
            process.terminate()


class Refused(Exception):
    """Raised if the server does not answer 200: the page shows an error then."""


class Tab:
    """One browser tab: one session, and the value of each component as the page holds it."""

    def __init__(self, url: str, auth: tuple[str, str] | None = None) -> None:
        self._http = httpx.Client(base_url=url, timeout=60, trust_env=False)
        self._session = uuid4().hex[:11]
        if auth:
            form = {"username": auth[0], "password": auth[1]}
            self._http.post("/login", data=form).raise_for_status()
        config = self._http.get("/config").raise_for_status().json()
        self._prefix = config.get("api_prefix", "")
        self._components = {part["id"]: part for part in config["components"]}
        self._values = {key: part.get("props", {}).get("value") for key, part in self._components.items()}
        self._events = config["dependencies"]
        self._run_all(self._triggered_by(None, "load"))

    def __enter__(self) -> Tab:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    # ---- what a person does

    def fill(self, label: str = "", value: object = None, *, nth: int = 0, **values: object) -> None:
        """Give components values by their labels; what listens to the change runs."""
        for name, new in {**({label: value} if label else {}), **values}.items():
            key = self._labelled(name)[nth]
            self._values[key] = new
            self._run_all(self._triggered_by(key, "change"))

    def upload(self, source: Path) -> dict[str, Any]:
        """Send a file; returns what the page then holds in its place."""
        kind = mimetypes.guess_type(source.name)[0] or "application/octet-stream"
        files = {"files": (source.name, source.read_bytes(), kind)}
        [path] = self._http.post(f"{self._prefix}/upload", files=files).raise_for_status().json()
        return {
            "path": path,
            "url": f"{self._http.base_url}{self._prefix}/file={path}",
            "orig_name": source.name,
            "size": source.stat().st_size,
            "mime_type": kind,
            "meta": {"_type": "gradio.FileData"},
        }

    def press(self, button: str, *, nth: int = 0) -> str:
        """Press a button and wait until all that it sets off is done; returns what the button says then."""
        key = self._buttons(button)[nth]
        self._run_all(self._triggered_by(key, "click"))
        return str(self._values[key])

    def shown(self, label: str, *, nth: int = 0) -> Any:
        """What the component with this label holds."""
        return self._values[self._labelled(label)[nth]]

    def fetch(self, file: dict[str, Any]) -> bytes:
        """The bytes of a file that the page shows."""
        return self._http.get(f"{self._prefix}/file={file['path']}").raise_for_status().content

    def buttons(self) -> list[str]:
        """The visible buttons, by what they say."""
        return [str(self._values[key]) for key, part in self._components.items() if part["type"] == "button"]

    # ---- what somebody with a terminal does

    def send(self, button: str, data: list[Any], *, nth: int = 0) -> str:
        """Post `data` to the flag event of a button, whatever it is; returns what the button would say.

        Raises `Refused` if Gradio itself turned it away.
        """
        key = self._buttons(button)[nth]
        [event] = [event for event in self._triggered_by(key, "click") if event["inputs"]]
        [said] = self._post(event, data)["data"]
        return str(said["value"] if isinstance(said, dict) else said)

    # ---- what the page does

    def _labelled(self, label: str) -> list[int]:
        return self._having("label", label)

    def _buttons(self, text: str) -> list[int]:
        return [key for key in self._having("value", text) if self._components[key]["type"] == "button"]

    def _having(self, prop: str, text: str) -> list[int]:
        found = [key for key, part in self._components.items() if part.get("props", {}).get(prop) == text]
        assert found, f"nothing on the page has the {prop} {text!r}"
        return found

    def _triggered_by(self, key: int | None, happening: str) -> list[dict[str, Any]]:
        return [
            event
            for event in self._events
            if event["backend_fn"]
            and any(name == happening and key in (None, source) for source, name in event["targets"])
        ]

    def _run_all(self, events: list[dict[str, Any]]) -> None:
        for event in events:
            self._run(event)

    def _run(self, event: dict[str, Any]) -> None:
        data = [self._values[key] if self._components[key]["type"] != "state" else None for key in event["inputs"]]
        try:
            result = self._queue(event, data) if event["queue"] is not False else self._post(event, data)
        except Refused:
            self._run_all(self._following(event, failed=True))
            raise
        for key, new in zip(event["outputs"], result["data"], strict=False):
            self._show(key, new)
        self._run_all(self._following(event, failed=False))

    def _following(self, event: dict[str, Any], *, failed: bool) -> list[dict[str, Any]]:
        after = [other for other in self._events if other["trigger_after"] == event["id"] and other["backend_fn"]]
        return [other for other in after if not (failed and other["trigger_only_on_success"])]

    def _show(self, key: int, new: Any) -> None:
        if not (isinstance(new, dict) and new.get("__type__") == "update"):
            self._values[key] = new
        elif "value" in new:
            self._values[key] = new["value"]

    def _body(self, event: dict[str, Any], data: list[Any]) -> dict[str, Any]:
        return {"data": data, "fn_index": event["id"], "session_hash": self._session, "event_data": None}

    def _post(self, event: dict[str, Any], data: list[Any]) -> dict[str, Any]:
        answer = self._http.post(f"{self._prefix}/run/{event['api_name']}", json=self._body(event, data))
        if answer.status_code != 200:
            raise Refused(f"{answer.status_code} {answer.text}")
        return dict(answer.json())

    def _queue(self, event: dict[str, Any], data: list[Any]) -> dict[str, Any]:
        joined = self._http.post(f"{self._prefix}/queue/join", json=self._body(event, data))
        if joined.status_code != 200:
            raise Refused(f"{joined.status_code} {joined.text}")
        ours = joined.json()["event_id"]
        with self._http.stream("GET", f"{self._prefix}/queue/data", params={"session_hash": self._session}) as lines:
            for line in lines.iter_lines():
                message = json.loads(line.removeprefix("data:")) if line.startswith("data:") else {}
                if message.get("msg") == "process_completed" and message.get("event_id") == ours:
                    if not message["success"]:
                        raise Refused(str(message["output"]))
                    return dict(message["output"])
        raise Refused("the stream ended early")
