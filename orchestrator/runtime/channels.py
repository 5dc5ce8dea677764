"""The channels of an installation: `channels.yaml` read, and each of them built.

```yaml
sms:
  url: smpp://outreach:${SMPP_PASSWORD}@smsc.carrier.example:2775
```

A key is the channel's name, as journeys say it in `via`; `kind` says which folder of `channels/`
it is, if that is not the name; the other keys are those of the kind's settings. `${NAME}` is the
environment's, so that no password need stand in the file.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from channels.base import Channel, Kind, Means, Place
from channels.registry import kind_names, kind_of
from orchestrator.core.delivery import Spoken
from orchestrator.core.errors import OutreachError
from orchestrator.core.model import CHANNEL_WORDS
from orchestrator.project import yaml
from orchestrator.project.findings import Finding, Mark, ProjectErrors, did_you_mean
from orchestrator.project.yaml import Listing, Node, Scalar, Table
from orchestrator.runtime.media import Gallery
from orchestrator.runtime.settings import Settings
from orchestrator.store import subscribers, timeline

if TYPE_CHECKING:
    from orchestrator.runtime.context import Context

FILE = "channels.yaml"

ALWAYS = {"webchat": "webchat", "counter": "desk", "calls": "desk"}
"""Channels, and their kinds, that need nothing but ourselves, and so are always there."""

NAMES = tuple(word for word in CHANNEL_WORDS if word != "chat")

_VARIABLE = re.compile(r"\$\{(\w+)\}")
_PATH = re.compile(r"\.(\w+)|\[(\d+|\.\.\.)\]")


class Configured(Struct, frozen=True):
    """One channel as the installation wants it."""

    name: str
    kind_name: str
    kind: Kind
    settings: Any
    mark: Mark

    @property
    def place(self) -> Place:
        """Which processes hold it."""
        place = self.kind.place
        return place(self.settings) if callable(place) else place

    @property
    def over(self) -> str | None:
        """The channel that must be built before."""
        return self.kind.over(self.settings) if self.kind.over is not None else None


def configured(settings: Settings, env: Mapping[str, str]) -> dict[str, Configured]:
    """Every channel by name, those that others go over first. Raises ProjectErrors."""
    found: dict[str, Configured] = {}
    findings: list[Finding] = []
    path = settings.channels or settings.project / FILE
    if settings.channels is not None or path.exists():
        found, findings = _read(path, "OUTREACH_CHANNELS", env)
    if settings.smpp_url is not None and "sms" not in found:
        found["sms"] = _plain("sms", "sms", "OUTREACH_SMPP_URL", {"url": settings.smpp_url})
    if settings.simulated is not None:
        simulated, more = _read(settings.simulated, "OUTREACH_SIMULATED", env)
        found, findings = {**simulated, **found}, [*findings, *more]
    for name, kind_name in ALWAYS.items():
        if name not in found:
            found[name] = _plain(name, kind_name, str(path), {})
    for channel in found.values():
        if channel.over is not None and channel.over not in found:
            hint = did_you_mean(channel.over, found)
            message = f"{channel.name} goes over {channel.over}, which is not configured"
            findings.append(Finding(channel.mark, message, hint, "channels"))
    if findings:
        raise ProjectErrors(findings)
    return {it.name: it for it in sorted(found.values(), key=lambda it: it.over is not None)}


def build(chosen: Iterable[Configured], place: Place, means: Means) -> list[Channel]:
    """Those of the channels that a process of this place holds. A channel goes over one of the same
    place. Raises OutreachError."""
    built: dict[str, Channel] = {}
    for it in chosen:
        if it.place == place:
            lent = msgspec.structs.replace(means, built=dict(built))
            built[it.name] = it.kind.build(it.name, it.settings, lent)
    return list(built.values())


def means(context: Context) -> Means:
    """What this process lends its channels."""

    async def history(channel: str, address: str, limit: int) -> list[Spoken]:
        async with context.pool.acquire() as connection:
            sender = (channel, address)
            owner = (await subscribers.owners(connection, [sender])).get(sender)
            if owner is None:
                return []
            who = owner.subscriber_id
            return list(await timeline.conversation(connection, who, channel, limit))

    gallery = Gallery(context.pool)
    return Means(
        context.secret, context.clock.now, history, media=gallery.find, country=context.country
    )


def _read(
    path: Path, variable: str, env: Mapping[str, str]
) -> tuple[dict[str, Configured], list[Finding]]:
    """The channels of the file, and what is wrong in it."""
    found: dict[str, Configured] = {}
    findings: list[Finding] = []
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise OutreachError(f"cannot read {path}: {error}", f"see {variable}") from None
    root = yaml.parse(str(path), text)
    if root is not None and not isinstance(root, Table):
        raise ProjectErrors([Finding(root.mark, "expected channels by name", "write `sms:`")])
    for key, node in root.pairs if root is not None else ():
        try:
            found[key.text] = _channel(key, node, env)
        except ProjectErrors as errors:
            findings += errors.findings
    return found, findings


def _plain(name: str, kind_name: str, file: str, values: Mapping[str, Any]) -> Configured:
    """A channel that no file speaks of."""
    kind = kind_of(kind_name)
    return Configured(name, kind_name, kind, msgspec.convert(values, kind.settings), Mark(file))


def _channel(key: Scalar, node: Node, env: Mapping[str, str]) -> Configured:
    name = key.text
    if name not in NAMES:
        raise _wrong(key.mark, f"there is no channel {name!r}", did_you_mean(name, NAMES))
    if not isinstance(node, Table):
        raise _wrong(node.mark, f"expected the settings of {name}", "write `key: value` below it")
    word = node.get("kind")
    kind_name = word.text if isinstance(word, Scalar) else ALWAYS.get(name, name)
    if kind_name not in kind_names():
        mark = word.mark if word is not None else key.mark
        hint = did_you_mean(kind_name, kind_names())
        raise _wrong(mark, f"there is no kind of channel {kind_name!r}", hint)
    kind = kind_of(kind_name)
    own = Table(node.mark, tuple(pair for pair in node.pairs if pair[0].text != "kind"))
    values = _filled(own, env)
    try:
        settings = msgspec.convert(values, kind.settings, strict=False)
    except msgspec.ValidationError as error:
        message, _, path = str(error).partition(" - at ")
        fields = ", ".join(field.encode_name for field in msgspec.structs.fields(kind.settings))
        raise _wrong(_at(own, path), message, f"the keys of {kind_name} are: {fields}") from None
    except OutreachError as error:
        raise _wrong(node.mark, error.message, error.hint) from None
    return Configured(name, kind_name, kind, settings, key.mark)


def _filled(node: Node, env: Mapping[str, str]) -> Any:
    """The node as lists, dicts and texts, with the environment's values in place."""
    match node:
        case Listing():
            return [_filled(item, env) for item in node.items]
        case Table():
            return {key.text: _filled(value, env) for key, value in node.pairs}
    for variable in _VARIABLE.findall(node.text):
        if variable not in env:
            raise _wrong(node.mark, f"the environment has no {variable}", f"set {variable}")
    return _VARIABLE.sub(lambda found: env[found[1]], node.text)


def _at(node: Node, path: str) -> Mark:
    """Where a path such as `$.binds[0].window` leads, or the nearest thing around it."""
    for name, index in _PATH.findall(path):
        inner: Node | None = None
        if name and isinstance(node, Table):
            inner = node.get(name)
        elif index.isdigit() and isinstance(node, Listing) and int(index) < len(node.items):
            inner = node.items[int(index)]
        if inner is None:
            break
        node = inner
    return node.mark


def _wrong(mark: Mark, message: str, hint: str) -> ProjectErrors:
    return ProjectErrors([Finding(mark, message, hint, "channels")])
