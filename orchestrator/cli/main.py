"""`outreach`: the command line."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.metadata import version
from typing import Annotated, Any

import asyncpg
import typer
from redis.exceptions import RedisError

from orchestrator.cli.apply import apply
from orchestrator.cli.carrier import carrier
from orchestrator.cli.event import event
from orchestrator.cli.gateway import gateway
from orchestrator.cli.importing import import_csv
from orchestrator.cli.init import init
from orchestrator.cli.show import show
from orchestrator.cli.status import status
from orchestrator.cli.up import up
from orchestrator.cli.validate import validate
from orchestrator.cli.web import web
from orchestrator.cli.worker import worker
from orchestrator.core.errors import OutreachError
from orchestrator.project.findings import ProjectErrors

app = typer.Typer(
    name="outreach",
    help="Journeys in YAML, carried to subscribers over the carriers' own protocols.",
    no_args_is_help=True,
    add_completion=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

COMMANDS: tuple[tuple[str, Callable[..., Any], str], ...] = (
    ("init", init, "outreach init shop"),
    ("validate", validate, "outreach validate shop"),
    ("apply", apply, "outreach apply --project shop"),
    ("up", up, "outreach up --project shop"),
    ("import", import_csv, "outreach import subscribers.csv --country 86"),
    ("event", event, "outreach event u1 order.placed amount=12.5 --source-id order-1001"),
    ("show", show, "outreach show +8613800138000"),
    ("status", status, "outreach status --json"),
    ("worker", worker, "DATABASE_URL=… REDIS_URL=… OUTREACH_SECRET=… outreach worker"),
    ("gateway", gateway, "OUTREACH_SMPP_URL=smpp://… outreach gateway --channel sms"),
    ("web", web, "OUTREACH_WEB_PORT=8080 outreach web"),
    ("carrier", carrier, "outreach carrier --smpp-port 2775"),
)
"""Each command with its example, in the order of the help."""

for _name, _command, _example in COMMANDS:
    app.command(_name, epilog=f"Example: {_example}")(_command)


def _say_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"outreach {version('outreach')}")
        raise typer.Exit


@app.callback()
def _outreach(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_say_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    """Journeys in YAML, carried to subscribers over the carriers' own protocols."""


def main() -> None:
    """The command has run. Exit codes: 0 all is well; 1 something asked for or found is wrong; 2
    the command was not understood."""
    try:
        app()
    except ProjectErrors as errors:
        for found in errors.findings:
            print(found, file=sys.stderr)
        _fail(f"the project has {len(errors.findings)} errors", "mend them: outreach validate")
    except OutreachError as error:
        _fail(error.message, error.hint)
    except (asyncpg.UndefinedTableError, asyncpg.UndefinedColumnError):
        _fail("the database lacks our tables, or has older ones", "run: outreach apply")
    except (asyncpg.PostgresError, asyncpg.InterfaceError, RedisError, OSError) as error:
        _fail(f"{type(error).__name__}: {error}", "see the logs of PostgreSQL and Redis")
    except BrokenPipeError:
        sys.exit(1)


def _fail(message: str, hint: str) -> None:
    print(f"error: {message}", file=sys.stderr)
    if hint:
        print(f"  hint: {hint}", file=sys.stderr)
    sys.exit(1)
