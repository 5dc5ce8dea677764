"""Every command there is: one per file under `bot/commands/`, found by looking."""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

from bot import commands
from bot.command import Command, Said


def _found() -> dict[str, type[Command]]:
    """Commands by the name of their file, those about consent first."""
    found: dict[str, type[Command]] = {}
    for entry in iter_modules(commands.__path__):
        module = import_module(f"{commands.__name__}.{entry.name}")
        (found[entry.name],) = [
            value
            for value in vars(module).values()
            if isinstance(value, type)
            and issubclass(value, Command)
            and value.__module__ == module.__name__
        ]
    return dict(sorted(found.items(), key=lambda item: (not item[1].CONSENT, item[0])))


COMMANDS = _found()


def understand(said: Said) -> Command | None:
    """The command that was said, or None."""
    for command in COMMANDS.values():
        if (parsed := command.parse(said)) is not None:
            return parsed
    return None
