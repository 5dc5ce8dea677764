"""The projects that come with us: the programme, and a small one to start from."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from orchestrator.project import source

_HERE = Path(__file__).parent
_STARTER = "my-project"
_NAMES = re.compile(f"Xinghe Mobile|星河通信|{_STARTER}")
_LONGEST_NAME = 20


def programme_folder() -> Path:
    """Where the shipped programme is: inside the installed package, or the checkout's own root."""
    packed = _HERE / "shipped"
    return packed if packed.is_dir() else _HERE.parent.parent


def programme() -> dict[str, str]:
    """The shipped programme's files."""
    return source.read_folder(programme_folder())


def starter(name: str = _STARTER) -> dict[str, str]:
    """The files of a new project of this name: one small journey, and what the bot says, in whose
    messages the project's name stands for the sender."""
    bot = {path: text for path, text in programme().items() if path.startswith("templates/bot/")}
    return _named({**bot, **source.read_folder(_HERE / "starter")}, name)


def starter_tests(name: str = _STARTER) -> dict[str, str]:
    """The tests of that project."""
    return _named(source.read_tests(_HERE / "starter"), name)


def _named(files: Mapping[str, str], name: str) -> dict[str, str]:
    name = re.sub(r"[^\w.-]+", "-", name)[:_LONGEST_NAME].strip("-.")
    if not name[:1].isalpha() or name.lower() in ("true", "false", "null"):
        name = _STARTER  # what YAML would not take for a text
    return {path: _NAMES.sub(name, text) for path, text in files.items()}
