"""Nested values, rebuilt node by node; without recursion, since a browser decides how deep they are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Whole:
    """A node that stands as it is: its members are not visited."""

    value: object


NUMBERS: frozenset[type] = frozenset({int, float, bool, type(None)})
"""The types of JSON's leaves, but for text."""


def rebuilt(root: object, visit: Callable[[Any], object], as_is: frozenset[type] = frozenset()) -> object:
    """A copy of nested lists and dicts, each node replaced by what `visit` says; however deep, `"..."` for a loop.

    `visit` comes to a list or dict before its members; the members of what it returns are visited next, those of the
    types `as_is` excepted: a table has thousands of numbers.
    """
    out: list[object] = [None]
    todo: list[tuple[Any, Any, object]] = [(out, 0, root)]
    above: set[int] = set()
    while todo:
        parent, place, node = todo.pop()
        if parent is None:
            above.discard(place)
            continue
        node = visit(node)
        members = _members(node)
        if members is not None and id(node) in above:
            node, members = "...", None
        if members is None:
            parent[place] = node.value if isinstance(node, Whole) else node
            continue
        copy: Any = dict(members) if isinstance(node, Mapping) else [member for _, member in members]
        parent[place] = copy
        above.add(id(node))
        todo.append((None, id(node), node))
        todo.extend((copy, key, member) for key, member in reversed(members) if type(member) not in as_is)
    return out[0]


def map_leaves(root: object, change: Callable[[Any], object]) -> object:
    """A copy of nested lists and dicts, everything that is neither replaced by what `change` says."""
    return rebuilt(root, lambda node: node if isinstance(node, Mapping | list | tuple) else change(node))


def _members(node: object) -> list[tuple[Any, object]] | None:
    if isinstance(node, Mapping):
        return list(node.items())
    return list(enumerate(node)) if isinstance(node, list | tuple) else None
