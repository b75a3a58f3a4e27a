"""Flags of a Gradio app, whole and on disk: `FlagLogger` writes them, `read_flags` gives them back.

Where to look; each module imports only from those before it:

- what goes wrong, and how it is said: `errors`
- labels to header names and folders: `columns`; a value to a cell's text: `trees`, `cells`; cells to bytes: `record`
- files, staged and published: `files`; what `.flagplus/` holds: `bookkeeping`
- the log that loses nothing: `lock`, `batch` (threads that wait together), `logfile`, `entry`, `log` (the contract)
- reading: `layout` (what a log's columns mean), `flag`, `rows`, `examples`, `frame`, `reader`
- is it all there: `integrity`, `stats`; what reviewers decided: `decisions`
- exports: `table`, `job`, `table_files`, `dataset_folder`, `label_studio`, `export`
- logs that Gradio's own loggers wrote: `gradio_cells`, `gradio_logs`, `adopt`
- Gradio's values to cells and files: `kinds`, `images`, `sources`, `payload`; Gradio's hooks: `logger`
- the panel: `toasts`, `panel`
- the review page: `follow`, `index`, `verdicts`, `browse`, `plots`, `showing`, `review_parts`, `desk`, `review`
- the command line: `terminal`, `cli`

Names are loaded when they are first asked for, so that reading flags does not cost the import of Gradio.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .errors import FileRefused, FlagplusError, LogBusy, LogNotWritable, NotSetUp, UnknownReason, WrongValues
    from .integrity import Problem, check
    from .logger import FlagLogger
    from .panel import flag_panel
    from .reader import Flag, FlagLog, read_flags
    from .review import review_page

__all__ = [
    "FileRefused",
    "Flag",
    "FlagLog",
    "FlagLogger",
    "FlagplusError",
    "LogBusy",
    "LogNotWritable",
    "NotSetUp",
    "Problem",
    "UnknownReason",
    "WrongValues",
    "check",
    "flag_panel",
    "read_flags",
    "review_page",
]

_HOMES = {
    "FlagLogger": "logger",
    "flag_panel": "panel",
    "review_page": "review",
    "Flag": "reader",
    "FlagLog": "reader",
    "read_flags": "reader",
    "Problem": "integrity",
    "check": "integrity",
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("gradio_flagplus")
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{_HOMES.get(name, 'errors')}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
