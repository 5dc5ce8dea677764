"""The reference of the commands and settings, written from the code: docs/reference/.

python -m orchestrator.cli.reference writes both files anew; a test holds them in step.
"""

from __future__ import annotations

from collections.abc import Iterator
from inspect import cleandoc
from pathlib import Path
from typing import Any

import msgspec
from typer.main import get_command

from orchestrator.cli.main import COMMANDS, build
from orchestrator.core.dossier import Dossier
from orchestrator.runtime.settings import SETTINGS

FOLDER = Path("docs/reference")


def cli_reference() -> str:
    """docs/reference/cli.md."""
    return "\n".join(_cli()) + "\n"


def export_reference() -> str:
    """docs/reference/export.md."""
    return "\n".join(_export()) + "\n"


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


def _export() -> Iterator[str]:
    yield from (
        "# The export of a subscriber",
        "",
        "<!-- Written by python -m orchestrator.cli.reference -->",
        "",
        "What `outreach export` writes and `GET /v1/subscribers/{key}/export` answers: one JSON",
        "object. Within format `outreach-export/1` keys are only added. Instants are UTC, as RFC",
        "3339 has them; `null` is where there is nothing. `outreach export --schema` prints the",
        "JSON Schema.",
    )
    _, shapes = msgspec.json.schema_components([Dossier], ref_template="{name}")
    for name in ["Dossier", *(it for it in shapes if it != "Dossier")]:
        shape = shapes[name]
        yield f"\n## {name if name != 'Dossier' else 'The document'}\n"
        yield f"{' '.join(shape.get('description', '').split())}\n"
        yield "| key | holds |\n|---|---|"
        yield from (f"| `{key}` | {_kind(it)} |" for key, it in shape["properties"].items())


def _kind(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        return f"*{schema['$ref']}*"
    if "anyOf" in schema:
        return " or ".join(_kind(it) for it in schema["anyOf"])
    if "enum" in schema:
        return ", ".join(f"`{it}`" for it in schema["enum"])
    match schema.get("type"):
        case "array":
            return f"list of {_kind(schema['items'])}"
        case "object":
            return "object"
        case "string":
            return {"date-time": "instant", "date": "date"}.get(schema.get("format", ""), "text")
        case kind:
            return {"integer": "number", None: "any value"}.get(kind, str(kind))


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
    (FOLDER / "export.md").write_text(export_reference(), encoding="utf-8")
    (FOLDER / "settings.md").write_text(settings_reference(), encoding="utf-8")
