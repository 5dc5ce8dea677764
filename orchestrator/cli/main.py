"""`outreach`: the command line."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from orchestrator.core.errors import OutreachError

COMMANDS = {
    "demo": ("demo.command:demo", "outreach demo --subscribers 500"),
    "init": ("init:init", "outreach init shop"),
    "validate": ("validate:validate", "outreach validate shop"),
    "schema": ("schema:schema", "outreach schema --project shop"),
    "test": ("trials:trials", "outreach test shop --only welcome"),
    "preview": ("preview:preview", "outreach preview hello/welcome --project shop --locale en"),
    "graph": ("graph:graph", "outreach graph hello --project shop --out hello.svg"),
    "simulate": ("simulate:simulated", "outreach simulate --project shop --report shop.html"),
    "plan": ("plan:plan", "outreach plan --project shop --out change.json"),
    "apply": ("apply:apply", "outreach apply --project shop"),
    "rollback": ("rollback:rollback", "outreach rollback --to 12 --yes"),
    "history": ("rollback:history", "outreach history --project shop"),
    "up": ("up:up", "outreach up --project shop"),
    "import": ("importing:import_csv", "outreach import subscribers.csv --country 86"),
    "list": ("lists:list_numbers", "outreach list load dnd do-not-disturb.txt --country 86"),
    "feed": ("feed:feed", "outreach feed calls.csv --speed 10x"),
    "link": ("link:link", "outreach link +8613800138000 --channel telegram --qr ann.svg"),
    "code": ("code:code", "outreach code 7Q2M-0RXA-9KTV-C4HE --by amy"),
    "event": ("event:event", "outreach event u1 order.placed amount=12.5 --source-id order-1001"),
    "events": ("events:events", "outreach events set-aside --replay"),
    "show": ("show:show", "outreach show +8613800138000"),
    "explain": ("explain:explain", "outreach explain +8613800138000 --journey hello"),
    "status": ("status:status", "outreach status --json"),
    "doctor": ("doctor:doctor", "outreach doctor --json"),
    "failures": ("failures:failures", "outreach failures --hours 72"),
    "replay": ("failures:replay", "outreach replay --dry-run"),
    "pause": ("halting:pause", "outreach pause hello"),
    "resume": ("halting:resume", "outreach resume hello"),
    "cancel": ("halting:cancel", "outreach cancel hello --recall --yes"),
    "query": ("asking:query", "outreach query --older 6h"),
    "recall": ("asking:recall", "outreach recall --journey hello --yes"),
    "export": ("people:export", "outreach export ann --out ann.json"),
    "erase": ("people:erase", "outreach erase ann"),
    "audit": ("audit:audit", "outreach audit --what journey --since 2026-03-01"),
    "channels": ("channels:channels", "outreach channels --project shop"),
    "worker": ("worker:worker", "outreach worker"),
    "matcher": ("matcher:matcher", "outreach matcher"),
    "gateway": ("gateway:gateway", "OUTREACH_SMPP_URL=smpp://… outreach gateway --channel sms"),
    "web": ("web:web", "OUTREACH_WEB_PORT=8080 outreach web"),
    "carrier": ("carrier:carrier", "outreach carrier --smpp-port 2775"),
}
"""Each command: where its function is, and its example. In the order of the help."""


def load(name: str) -> Callable[..., object]:
    """The function that a command is. Only its module is loaded: all cost a second."""
    module, _, function = COMMANDS[name][0].partition(":")
    command: Callable[..., object] = getattr(import_module(f"orchestrator.cli.{module}"), function)
    return command


def describe(name: str) -> Callable[..., object]:
    """Something with the docstring that `load` would find, which is read without being run."""
    import ast

    module, _, function = COMMANDS[name][0].partition(":")
    path = Path(__file__).parent / f"{module.replace('.', '/')}.py"

    def command() -> None: ...

    for node in ast.parse(path.read_bytes()).body:
        if isinstance(node, ast.FunctionDef) and node.name == function:
            command.__doc__ = ast.get_docstring(node)
    return command


def build(
    names: Sequence[str] = tuple(COMMANDS),
    found: Callable[[str], Callable[..., object]] = load,
) -> typer.Typer:
    """The application with these commands."""
    app = typer.Typer(
        name="outreach",
        help="Journeys in YAML, carried to subscribers over the carriers' own protocols.",
        no_args_is_help=True,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_outreach)
    for name in names:
        app.command(name, epilog=f"Example: {COMMANDS[name][1]}")(found(name))
    return app


def main() -> None:
    """The command has run. Exit codes: 0 all is well; 1 something asked for or found is wrong; 2
    the command was not understood."""
    try:
        _asked(_words())(prog_name="outreach")
    except OutreachError as error:
        fail(error)
    except Exception as error:
        _explain(error)


def _words() -> Sequence[str]:
    """What was written after `outreach`: by whoever runs it, or so far in the line that a shell
    wants completed, which it tells in the environment."""
    if "_OUTREACH_COMPLETE" not in os.environ:
        return sys.argv[1:]
    line = os.environ.get("_TYPER_COMPLETE_ARGS") or os.environ.get("COMP_WORDS", "")
    return line.split()[1:]


def _asked(words: Sequence[str]) -> typer.Typer:
    """The application with no more of it than these words need: one command, or the list."""
    if words and words[0] in COMMANDS:
        return build(words[:1])
    listed = not words or words[0] in ("-h", "--help", "--version") or words[0][:1] != "-"
    return build(found=describe if listed else load)


def fail(error: OutreachError) -> NoReturn:
    """What is wrong, and what to do about it, is on stderr; the exit code is 1."""
    print(f"error: {error.message}", file=sys.stderr)
    if error.hint:
        print(f"  hint: {error.hint}", file=sys.stderr)
    sys.exit(1)


def _explain(error: Exception) -> NoReturn:
    """A known trouble of the world is told to people; anything else is a bug, whose trace is shown
    to whoever asked for more."""
    import asyncpg
    from redis.exceptions import RedisError

    kind = type(error).__name__
    if isinstance(error, asyncpg.UndefinedTableError | asyncpg.UndefinedColumnError):
        fail(OutreachError("the database lacks our newest tables", "run: outreach apply"))
    if isinstance(error, asyncpg.PostgresError | asyncpg.InterfaceError):
        fail(OutreachError(f"PostgreSQL: {kind}: {error}", "see its log, and try again"))
    if isinstance(error, RedisError):
        fail(OutreachError(f"Redis: {kind}: {error}", "is it running, and is REDIS_URL right?"))
    if isinstance(error, OSError):
        about = f"{error.filename}: {error.strerror}" if error.filename else f"{kind}: {error}"
        fail(OutreachError(about))
    if any(it.startswith("-v") or it == "--verbose" for it in sys.argv):
        raise error
    fail(OutreachError(f"a bug: {kind}: {error}", "please report it, with what -v adds"))


def _say_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version  # which takes as long as to start

        typer.echo(f"outreach {version('outreach')}")
        raise typer.Exit


def _outreach(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_say_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    """Journeys in YAML, carried to subscribers over the carriers' own protocols."""
