"""`outreach preview`: a message as every phone shows it, before anybody gets it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import msgspec
import typer
from rich.console import Console

from channels.wap_push import carriage
from channels.wap_push.authored import Push, document_of
from channels.wap_push.documents import encode
from orchestrator.cli.options import (
    JsonOption,
    ProjectOption,
    read_settings,
    run,
    serve_until,
    stop_asked,
)
from orchestrator.cli.properties import nested, typed
from orchestrator.cli.screens import show
from orchestrator.cli.sms import languages
from orchestrator.cli.validate import command_of
from orchestrator.core.delivery import Outgoing
from orchestrator.core.errors import OutreachError
from orchestrator.core.model import Content
from orchestrator.project import source
from orchestrator.project.examples import LACKING, ROOTS, Example
from orchestrator.project.load import inspect
from orchestrator.project.preview import Means, Preview
from orchestrator.project.preview import preview as previewed
from orchestrator.runtime.settings import Settings

PORT = 8083
_SOME_DAY = datetime(2026, 3, 2, 10, tzinfo=UTC)


def preview(
    message: Annotated[
        str | None,
        typer.Argument(
            help="The message's name (hello/welcome), or a file of it.", show_default=False
        ),
    ] = None,
    locale: Annotated[
        str | None,
        typer.Option("--locale", "-l", metavar="L", help="As somebody of this locale gets it."),
    ] = None,
    as_: Annotated[
        list[str] | None,
        typer.Option(
            "--as",
            metavar="KEY=VALUE|FILE.json",
            help="For whom: name=Ann, usage.mb_7d=40, event.amount=3, locale=en (again for more), "
            "or a file with all that is known of one subscriber, or a list of such.",
        ),
    ] = None,
    serve: Annotated[
        bool, typer.Option("--serve", help="Show all of the project as a page that follows it.")
    ] = False,
    port: Annotated[
        int, typer.Option(help="The page's TCP port; 0 takes a free one.", min=0, max=65535)
    ] = PORT,
    host: Annotated[
        str, typer.Option(help="The page's address. Other than loopback: anybody may look.")
    ] = "127.0.0.1",
    json: JsonOption = False,
    project: ProjectOption = None,
) -> None:
    """Show a message as every phone shows it: each channel and locale, with what it costs.

    An SMS is shown in its parts, with its encoding (and for which characters it is UCS-2), what is
    left of its last part, and its price; an MMS with its picture and size; a push with its link
    and octets; a chat with its buttons. Without --as, examples are made up: the usual subscriber,
    one with long values, and one of whom nothing is known; what looks the same is shown once.
    Whoever would get nothing, because a value is missing, is warned of.

    With --serve a browser shows every message and journey of the project, drawn anew whenever a
    file is saved, mistakes included; only this machine may look, unless --host says otherwise.

    Exit code 1: there is no such message, or some of it cannot be sent.
    """
    settings = read_settings(project)
    given = examples_of(as_ or [])
    locale = locale or next((it for e in given if (it := e.values.get("subscriber.locale"))), None)
    if serve:
        run(lambda: _serve(settings, message, given, locale, host, port))
        return
    if message is None:
        raise OutreachError("which message?", "name it (hello/welcome), or look at all: --serve")
    draft, findings = inspect(source.read_folder(settings.project), command_of)
    found = previewed(
        draft, message, findings=findings, given=given, locale=locale, means=means_of(settings)
    )
    if json:
        typer.echo(msgspec.json.encode(found).decode())
    else:
        show(found, Console(highlight=False))
    if failed(found):
        raise typer.Exit(1)


async def _serve(
    settings: Settings,
    message: str | None,
    given: Sequence[Example],
    locale: str | None,
    host: str,
    port: int,
) -> None:
    # A server: whoever looks in the terminal need not wait for it to load.
    from orchestrator.cli.listening import listening, shown
    from orchestrator.web.pages import is_loopback
    from orchestrator.web.preview import create_preview
    from orchestrator.web.preview_folder import Folder

    stop = stop_asked()
    page = create_preview(
        Folder(settings.project, command_of),
        given=given,
        locale=locale,
        means=means_of(settings),
        everybody=not is_loopback(host),
    )
    async with listening(page, host, port, "--port") as taken:
        asked = f"?message={quote(message)}" if message else ""
        typer.echo(f"preview   {shown(host, taken)}/{asked}")
        typer.echo("Save a file and look. Ctrl-C ends it.")
        await serve_until(stop)


def failed(found: Preview) -> bool:
    """Whether some of it cannot be sent, but to somebody of whom nothing is known."""
    wrong = any(it.severity == "error" for it in found.findings)
    return wrong or any(it.trouble and it.example != LACKING for it in found.shown)


def means_of(settings: Settings) -> Means:
    """What the installation knows of pushes, links and the languages of its SMS."""
    return Means(push_size, settings.links or "", languages(settings))


def push_size(content: Content) -> tuple[int, int]:
    """The octets of a push over short messages, and how many it takes. Raises PushError."""
    message = Outgoing(1, 1, "+8613800138000", content, series="journey:step")
    pushed = carriage.push(*encode(document_of(message, Push(), _SOME_DAY)))
    return len(pushed), len(carriage.parts(pushed, 1))


def examples_of(given: Sequence[str]) -> list[Example]:
    """The examples that these options describe. Raises OutreachError."""
    pairs = []
    found: list[Example] = []
    for it in given:
        key, equals, value = it.partition("=")
        if not equals:
            found += _in_file(Path(it))
        elif key:
            pairs.append((key, None if value == "null" else typed(value)))
    if pairs:
        name = ", ".join(it for it in given if "=" in it)
        found.append(Example(name, _dotted(nested(pairs))))
    return found


def _in_file(path: Path) -> list[Example]:
    try:
        read = msgspec.json.decode(path.read_bytes())
    except OSError as error:
        hint = "--as takes KEY=VALUE, or the name of a file"
        raise OutreachError(f"cannot read {path}: {error.strerror}", hint) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise OutreachError(f"{path} is not JSON: {error}", 'write {"name": "Ann"}') from None
    several = read if isinstance(read, list) else [read]
    if not all(isinstance(it, dict) for it in several):
        raise OutreachError(f"{path} holds no subscriber", 'write {"name": "Ann"}')
    return [
        Example(str(it.get("key") or f"{path.stem} {number}"), _dotted(it), complete=True)
        for number, it in enumerate(several, 1)
    ]


def _dotted(values: Mapping[str, Any], group: str = "") -> dict[str, Any]:
    """`{"usage": {"mb_7d": 4}}` as `usage.mb_7d`; what is below no other name is the
    subscriber's."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        name = f"{group}.{key}" if group else key
        if isinstance(value, dict):
            flat |= _dotted(value, name)
        else:
            flat[name if name.split(".")[0] in ROOTS else f"subscriber.{name}"] = value
    return flat
