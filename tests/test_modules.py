"""The reading direction of the package, and what importing it costs."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import gradio_flagplus

PACKAGE = Path(gradio_flagplus.__file__).parent
ORDER = re.findall(r"`(\w+)`", re.search(r"\n- (.*)\n\n", gradio_flagplus.__doc__ or "", re.DOTALL)[1])
NEED_GRADIO = {"kinds", "images", "sources", "payload", "logger", "toasts", "panel"} | {
    "showing",
    "review_parts",
    "desk",
    "review",
}


def imports(module: str) -> set[str]:
    """The modules of the package that this one imports, wherever in it."""
    tree = ast.parse((PACKAGE / f"{module}.py").read_text(encoding="utf-8"))
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level == 1:
            found |= {node.module.split(".")[0]} if node.module else {alias.name for alias in node.names}
    return found - {"__version__"}


def test_every_module_has_its_place():
    """The package's docstring names every module, once."""
    modules = {path.stem for path in PACKAGE.glob("*.py")} - {"__init__", "__main__"}
    assert sorted(ORDER) == sorted(modules)


@pytest.mark.parametrize("module", ORDER)
def test_a_module_imports_only_from_those_before_it(module):
    """There is one reading direction, and no cycle."""
    assert imports(module) <= set(ORDER[: ORDER.index(module)])


@pytest.mark.parametrize("module", ORDER)
def test_only_those_that_must_import_gradio(module):
    """Gradio's three seconds are paid by the hooks and the pages, not by the log, the reader or the command line."""
    source = (PACKAGE / f"{module}.py").read_text(encoding="utf-8")
    assert bool(re.search(r"^(import gradio|from gradio)\b", source, re.MULTILINE)) <= (module in NEED_GRADIO)


def test_importing_the_package_is_cheap():
    """`import gradio_flagplus`, reading and the command line load neither Gradio nor pandas."""
    code = (
        "import sys, gradio_flagplus, gradio_flagplus.reader, gradio_flagplus.cli, gradio_flagplus.integrity;"
        "assert not {'gradio', 'pandas', 'PIL'} & set(sys.modules), sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_what_is_public_is_there():
    """Every name in `__all__` can be had, and no other."""
    for name in gradio_flagplus.__all__:
        assert getattr(gradio_flagplus, name).__module__.startswith("gradio_flagplus")
    with pytest.raises(AttributeError):
        gradio_flagplus.nothing  # noqa: B018
