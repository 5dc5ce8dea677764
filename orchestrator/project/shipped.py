"""The projects that come with us: the programme, and a small one to start from."""

from __future__ import annotations

from pathlib import Path

from orchestrator.project import source

_HERE = Path(__file__).parent


def programme_folder() -> Path:
    """Where the shipped programme is: inside the installed package, or the checkout's own root."""
    packed = _HERE / "shipped"
    return packed if packed.is_dir() else _HERE.parent.parent


def programme() -> dict[str, str]:
    """The shipped programme's files."""
    return source.read_folder(programme_folder())


def starter() -> dict[str, str]:
    """The files of a new project: one small journey, and what the bot says."""
    bot = {path: text for path, text in programme().items() if path.startswith("templates/bot/")}
    return {**bot, **source.read_folder(_HERE / "starter")}
