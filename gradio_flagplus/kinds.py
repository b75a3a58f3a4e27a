"""What a component says of itself: its label, what its column holds, how its values are to be taken."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import gradio as gr
from gradio.components.base import Component

from .columns import NO_FOLDER, Column, Kind


def label_of(component: Component) -> str:
    """The component's label as a person reads it, or empty text. A translated label gives its key."""
    label = getattr(component, "label", None)
    key = getattr(label, "key", None)  # gr.I18nData: the translations are the browser's
    text = key if isinstance(key, str) else "" if label is None else str(label)
    return _TRANSLATED.sub(lambda match: str(json.loads(match[1])), text)


_TRANSLATED = re.compile(r'__i18n__\{[^{}]*"key": ("(?:[^"\\]|\\.)*")\}')


def is_password(component: Component) -> bool:
    """Whether what is typed here is hidden on screen, and so belongs in no log."""
    return getattr(component, "type", None) == "password"


def column_of(component: Component, name: str) -> Column:
    """The column for this component's values, called `name`."""
    hook = type(component).flag is not Component.flag
    folder = "" if hook or bears_files(component) else NO_FOLDER
    return Column(name, _kind(component), folder=folder, component=component.get_block_name())


def _kind(component: Component) -> Kind:
    """What the cells hold, told from what the component says of itself, so that new components need no entry here.

    `file`: its data model is one file (and at most further ones that may be missing, like a Video's subtitles).
    `text`: it has no data model and its API says string; with choices, only if all their values are text and no more
    than one can be chosen. `json`: all the rest.
    """
    if (model := component.data_model) is not None:
        return "file" if _is_one_file(model) else "json"
    if type(component).flag is not Component.flag:
        return "json"  # what it makes of its values may be files
    if isinstance(component, gr.Button):
        return "text"  # its value is what stands on it; it has no API
    choices = getattr(component, "choices", None) or ()
    values = [choice[1] if isinstance(choice, list | tuple) else choice for choice in choices]
    return "text" if _says_string(component) and all(isinstance(value, str) for value in values) else "json"


def _says_string(component: Component) -> bool:
    try:
        return component.api_info().get("type") == "string"
    except (NotImplementedError, AttributeError, TypeError):  # a custom component need not say anything
        return False


def _is_one_file(model: Any) -> bool:
    fields = getattr(model, "model_fields", {})
    if {"path", "url", "meta"} <= fields.keys():
        return True
    needed = [field.annotation for field in fields.values() if field.is_required()]
    return len(needed) == 1 and {"path", "url", "meta"} <= getattr(needed[0], "model_fields", {}).keys()


def is_one_file(component: Component) -> bool:
    """Whether a value of the component is one file and never more, as a Video's, which may bring its subtitles, is."""
    return (
        not isinstance(component, gr.Video)
        and {"path", "url", "meta"} <= getattr(component.data_model, "model_fields", {}).keys()
    )


def bears_files(component: Component) -> bool:
    """Whether the component's values are, or hold, files."""
    model = component.data_model
    return model is not None and "orig_name" in str(model.model_json_schema())


@dataclass(frozen=True, slots=True)
class Traits:
    """What can be said of a component once, so that a flag need not ask."""

    file: bool
    """One value is one file: text at the top is a path, a URL or a `data:` URL."""
    data: bool
    """Its values are data and nothing else; a file dict in them is data, too."""
    refuses: bool
    """A dict with a `path` but without the mark must not pass: it would be taken for a file elsewhere."""
    media: bool
    """It shows pictures or sound that Gradio encodes, so `data:` URLs in its values are files."""
    hook: bool
    """It brings its own `flag()`."""

    @property
    def carries(self) -> bool:
        """Text in its values may be more than text."""
        return self.file or self.hook or self.media


_known: WeakKeyDictionary[Component, Traits] = WeakKeyDictionary()
_DATA = tuple(getattr(gr, name) for name in ("State", "JSON", "BrowserState") if hasattr(gr, name))


def traits_of(component: Component) -> Traits:
    """The component's traits, looked at once: kinds do not change while an app runs."""
    traits = _known.get(component)
    if traits is None:
        kind, modelled = _kind(component), component.data_model is not None
        data = kind == "text" or isinstance(component, _DATA)
        hook = type(component).flag is not Component.flag
        media = modelled and hasattr(component, "format")
        traits = Traits(kind == "file", data, (modelled or hook) and not data, media, hook)
        _known[component] = traits
    return traits
