"""The reference of the commands and settings, written from the code: docs/reference/.

python -m orchestrator.cli.reference writes both files anew; a test holds them in step.
"""

from __future__ import annotations

from collections.abc import Iterator
from inspect import cleandoc
from pathlib import Path
from typing import Any

from typer.main import get_command

from orchestrator.cli.main import COMMANDS, build
from orchestrator.runtime.settings import SETTINGS

FOLDER = Path("docs/reference")


def cli_reference() -> str:
    """docs/reference/cli.md."""
    return "\n".join(_cli()) + "\n"


def settings_reference() -> str:
    """docs/reference/settings.md."""
    rows = [
        f"| `{it.variable}` | {it.default} | {it.description} |"
        for it in sorted(SETTINGS, key=lambda it: it.variable)
    ]
    return "\n".join(
        [
            "# Settings",
            "",
            "<!-- Written by python -m orchestrator.cli.reference -->",
            "",
            "All settings are environment variables, read once when a process starts. An unknown",
            "`OUTREACH_…` is an error, so that a slip of the pen is not a default.",
            "",
            "| variable | if it is not set | what it is |",
            "|---|---|---|",
            *rows,
            "",
        ]
    )


def _cli() -> Iterator[str]:
    yield from (
        "# Commands",
        "",
        "<!-- Written by python -m orchestrator.cli.reference -->",
        "",
        "Exit codes: 0 all is well; 1 something asked for, or found, is wrong; 2 the command was",
        "not understood. Errors go to stderr as `error: …`, with a `hint:`.",
    )
    commands: dict[str, Any] = getattr(get_command(build()), "commands", {})
    for name, command in commands.items():
        arguments = [it for it in command.params if it.param_type_name == "argument"]
        shown = " ".join(_argument(it) for it in arguments)
        yield f"\n## outreach {name}\n"
        yield cleandoc(command.callback.__doc__ or "")
        yield f"\n```\noutreach {name} {shown}".rstrip() + " [OPTIONS]\n```\n"
        yield f"Example: `{COMMANDS[name][1]}`\n"
        for it in arguments:
            yield f"- `{_argument(it)}`: {it.help}"
        for it in command.params:
            if it.param_type_name == "option":
                yield f"- {_option(it)}: {it.help}"


def _argument(argument: Any) -> str:
    word: str = argument.metavar or argument.name.upper()
    return word if argument.required or word.startswith("[") else f"[{word}]"


def _option(option: Any) -> str:
    names = ", ".join(f"`{name}`" for name in option.opts)
    value = "" if option.is_flag or option.count else f" {option.metavar or 'N'}"
    default = option.default
    shown = default not in (None, False, 0) and not callable(default)
    return f"{names}{value}" + (f" (default {default})" if shown else "")


if __name__ == "__main__":
    (FOLDER / "cli.md").write_text(cli_reference(), encoding="utf-8")
    (FOLDER / "settings.md").write_text(settings_reference(), encoding="utf-8")
