"""All that an installation sets from outside: read once from the environment, typed, frozen."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct

from orchestrator.core.errors import OutreachError
from orchestrator.runtime.clock import Clock
from orchestrator.runtime.embedded.folder import open_root

MIN_SECRET_OCTETS = 16

PARTITIONS = 8
MOST_WAITING = 1_000_000
"""Of a feed, see streams.py, which loads too much for a command that only asks for settings."""


class Setting(Struct, frozen=True):
    """One environment variable. `default` is for people; `read` turns the text into the value and
    raises ValueError with the reason, or OutreachError."""

    variable: str
    field: str
    default: str
    description: str
    read: Callable[[str], Any] = str
    secret: bool = False


def _url(*schemes: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if urlsplit(text).scheme not in schemes:
            raise ValueError(f"it must begin with {' or '.join(f'{name}://' for name in schemes)}")
        return text

    return read


def _number(kind: Callable[[str], float], low: float, high: float) -> Callable[[str], float]:
    def read(text: str) -> float:
        try:
            value = kind(text)
        except ValueError:
            raise ValueError("it must be a number") from None
        if not low <= value <= high:
            raise ValueError(f"it must be between {low:g} and {high:g}")
        return value

    return read


def _secret(text: str) -> bytes:
    secret = text.encode()
    if len(secret) < MIN_SECRET_OCTETS:
        raise ValueError(f"it must have at least {MIN_SECRET_OCTETS} characters")
    return secret


def calling_code(text: str) -> str:
    """The country's calling code that this means, without the plus. Raises ValueError."""
    code = text.removeprefix("+")
    if not (code.isascii() and code.isdigit() and 1 <= len(code) <= 3):
        raise ValueError("this is not a country's calling code")
    return code


SCOPES = ("events", "subscribers", "read", "desk")
"""What a key of the API may be good for: to report events, to change subscribers, to read what is
known of them, and what people at a counter or on the phone need."""


class ApiKey(Struct, frozen=True):
    """A key of the API, and what it is good for."""

    key: str
    scopes: frozenset[str] = frozenset(SCOPES)

    @classmethod
    def parse(cls, text: str) -> ApiKey:
        """A key as the settings have it: `KEY`, or `events:KEY`, or `events+read:KEY`. Raises
        ValueError."""
        named, colon, key = text.partition(":")
        scopes = named.split("+") if colon else [*SCOPES]
        if unknown := [it for it in scopes if it not in SCOPES]:
            close = get_close_matches(unknown[0], SCOPES, n=1)
            meant = f"did you mean {close[0]}? " if close else ""
            raise ValueError(
                f"before the colon of a key stands what it is good for; {meant}"
                f"there are {', '.join(SCOPES)}"
            )
        key = key if colon else named
        if len(key) < MIN_SECRET_OCTETS:
            raise ValueError(f"each key must have at least {MIN_SECRET_OCTETS} characters")
        return cls(key, frozenset(scopes))

    def __str__(self) -> str:
        """As the settings have it."""
        if len(self.scopes) == len(SCOPES):
            return self.key
        return f"{'+'.join(it for it in SCOPES if it in self.scopes)}:{self.key}"

    def __repr__(self) -> str:
        """Without the key."""
        return f"ApiKey({'+'.join(sorted(self.scopes))}:…)"


def _keys(text: str) -> tuple[ApiKey, ...]:
    keys = tuple(ApiKey.parse(key.strip()) for key in text.split(",") if key.strip())
    if not keys:
        raise ValueError("there is no key in it")
    return keys


SETTINGS = (
    Setting(
        "DATABASE_URL",
        "database_url",
        "an embedded PostgreSQL",
        "The PostgreSQL that holds everything: `postgresql://user:password@host/database`.",
        _url("postgresql", "postgres"),
        secret=True,
    ),
    Setting(
        "REDIS_URL",
        "redis_url",
        "an embedded Valkey",
        "The Redis or Valkey that wakes the workers: `redis://`, `rediss://` or `unix://`.",
        _url("redis", "rediss", "unix"),
        secret=True,
    ),
    Setting(
        "OUTREACH_PROJECT",
        "project",
        "the current folder",
        "The project: the folder with `journeys/` and `templates/`.",
        Path,
    ),
    Setting(
        "OUTREACH_DATA",
        "data",
        "`.outreach` in the project",
        "Where the embedded servers keep their data, and the secret if it is not set.",
        Path,
    ),
    Setting(
        "OUTREACH_SMPP_URL",
        "smpp_url",
        "a simulated carrier",
        "The SMS carrier's bind, if no file of channels says more: "
        "`smpp://system_id:password@host:2775`.",
        _url("smpp", "smpps"),
        secret=True,
    ),
    Setting(
        "OUTREACH_CHANNELS",
        "channels",
        "`channels.yaml` in the project, if it is there",
        "The file that says which channels there are and how they reach their carriers.",
        Path,
    ),
    Setting(
        "OUTREACH_COUNTRY",
        "country",
        "what the SMS channel's `country` says",
        "The calling code of telephone numbers that come without one, in files and from those who "
        "write: `86`.",
        calling_code,
    ),
    Setting(
        "OUTREACH_SIMULATED",
        "simulated",
        "no carrier is simulated",
        "A file like `channels.yaml`, for what that one says nothing of: `outreach up` writes it "
        "for the carrier that it simulates.",
        Path,
    ),
    Setting(
        "OUTREACH_WEB_HOST",
        "web_host",
        "127.0.0.1",
        "The address on which the API, carrier callbacks and the console listen.",
    ),
    Setting(
        "OUTREACH_WEB_PORT",
        "web_port",
        "8080",
        "The TCP port beside it; 0 takes a free one.",
        _number(int, 0, 65535),
    ),
    Setting(
        "OUTREACH_LINKS",
        "links",
        "links are not tracked",
        "The site whose `/l/` reaches the web process, such as `https://go.example`: links in "
        "messages become short and signed, and a click is the event `link.clicked`.",
        lambda text: _url("http", "https")(text).rstrip("/"),
    ),
    Setting(
        "OUTREACH_OPS_HOST",
        "ops_host",
        "127.0.0.1",
        "The address on which a worker or gateway answers /livez, /readyz and /metrics.",
    ),
    Setting(
        "OUTREACH_OPS_PORT",
        "ops_port",
        "nothing is answered there",
        "The TCP port beside it; 0 takes a free one. `outreach up` gives it to the first worker, "
        "and the next ones to the others.",
        _number(int, 0, 65535),
    ),
    Setting(
        "OUTREACH_SECRET",
        "secret",
        "made once, kept as `secret` in the data folder; must be set if DATABASE_URL is",
        "The key of keyed hashes (redemption codes, tracked links). The same for all processes.",
        _secret,
        secret=True,
    ),
    Setting(
        "OUTREACH_API_KEYS",
        "api_keys",
        "made once, kept as `api-key` in the data folder; nobody gets in if DATABASE_URL is set",
        "Who may use the API: keys of 16 characters or more, with commas between them. Before a "
        "key may stand what it is good for: `events:KEY`, `subscribers+read:KEY`, `desk:KEY`.",
        _keys,
        secret=True,
    ),
    Setting(
        "OUTREACH_WALL_PORT",
        "wall_port",
        "8081",
        "The TCP port on 127.0.0.1 of the simulated carrier's phone wall; 0 takes a free one.",
        _number(int, 0, 65535),
    ),
    Setting(
        "OUTREACH_SWEEP_S",
        "sweep_s",
        "10",
        "Real seconds between two looks for due work that nobody rang for.",
        _number(float, 0.05, 3600),
    ),
    Setting(
        "OUTREACH_BATCH",
        "batch",
        "500",
        "How many subscribers one turn, and how many messages one delivery takes at most.",
        _number(int, 1, 5000),
    ),
    Setting(
        "OUTREACH_PARTITIONS",
        "partitions",
        str(PARTITIONS),
        "Into how many parts the events of a feed are shared, each matched by one process at a "
        "time. The same for all processes; changing it is described in docs/operators.md.",
        _number(int, 1, 64),
    ),
    Setting(
        "OUTREACH_MOST_WAITING",
        "most_waiting",
        str(MOST_WAITING),
        "How many events of a feed may wait in Redis for matchers. Beyond that the API answers 429 "
        "and takes no more. One takes some 100 to 300 octets.",
        _number(int, 1, 1_000_000_000),
    ),
    Setting(
        "OUTREACH_CLOCK",
        "clock",
        "real",
        "Domain time for rehearsals: `2026-03-02T00:00:00Z@1760000000x10080` was that date at that "
        "Unix time and runs a week in a minute.",
        Clock.parse,
    ),
)


class Settings(Struct, frozen=True):
    """See `SETTINGS` for what each field means; None: not set."""

    project: Path
    data: Path
    database_url: str | None = None
    redis_url: str | None = None
    smpp_url: str | None = None
    channels: Path | None = None
    country: str = ""
    simulated: Path | None = None
    web_host: str = "127.0.0.1"
    web_port: int = 8080
    links: str | None = None
    ops_host: str = "127.0.0.1"
    ops_port: int | None = None
    secret: bytes | None = None
    api_keys: tuple[ApiKey, ...] = ()
    wall_port: int = 8081
    sweep_s: float = 10.0
    batch: int = 500
    partitions: int = PARTITIONS
    most_waiting: int = MOST_WAITING
    clock: Clock = Clock()

    @classmethod
    def from_env(cls, env: Mapping[str, str], project_dir: Path) -> Settings:
        """What `env` says, with paths made absolute from `project_dir`; empty is not set.

        Raises OutreachError for a value that means nothing, and for an unknown `OUTREACH_…`.
        """
        _refuse_unknown(env)
        given = {it.field: _read(it, env[it.variable]) for it in SETTINGS if env.get(it.variable)}
        given["project"] = (project_dir / given.get("project", "")).absolute()
        for field in {"channels", "simulated"} & given.keys():
            given[field] = (project_dir / given[field]).absolute()
        given["data"] = (project_dir / given.get("data", given["project"] / ".outreach")).absolute()
        return cls(**given)

    def __repr__(self) -> str:
        """Without what must not be in a log."""
        hidden = {it.field for it in SETTINGS if it.secret}
        fields = msgspec.structs.asdict(self).items()
        shown = (f"{name}={'…' if name in hidden and value else value}" for name, value in fields)
        return f"Settings({', '.join(shown)})"


def load_secret(settings: Settings) -> bytes:
    """The key of keyed hashes: the one set, else the one in the data folder, made if need be.

    Raises OutreachError where several machines may share one database: they need the same key.
    """
    if settings.secret is not None:
        return settings.secret
    if settings.database_url is not None:
        raise OutreachError(
            "OUTREACH_SECRET is not set, and DATABASE_URL is: every process needs the same secret",
            "Set it once for all, for example to the output of: openssl rand -hex 32",
        )
    open_root(settings.data)
    path = settings.data / "secret"
    _write_once(path, secrets.token_hex(32))
    return path.read_bytes()


def load_api_keys(settings: Settings) -> tuple[ApiKey, ...]:
    """Who may use the API: the keys set, else on a laptop the one in the data folder, made if need
    be; else nobody."""
    if settings.api_keys or settings.database_url is not None:
        return settings.api_keys
    open_root(settings.data)
    path = settings.data / "api-key"
    _write_once(path, secrets.token_urlsafe(24))
    return (ApiKey(path.read_text().strip()),)


def _write_once(path: Path, text: str) -> None:
    """`path` exists, readable by us only, and holds `text` unless somebody wrote it before.

    Safe to run twice at once: the link is made whole, by one of them.
    """
    if path.exists():
        return
    draft = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    draft.touch(mode=0o600)
    draft.write_text(text)
    try:
        path.hardlink_to(draft)
    except FileExistsError:
        return
    finally:
        draft.unlink()


def _read(setting: Setting, text: str) -> Any:
    try:
        return setting.read(text)
    except ValueError as error:
        shown = "" if setting.secret else f" ({text!r})"
        raise OutreachError(
            f"{setting.variable}{shown} cannot be right: {error}", setting.description
        ) from None
    except OutreachError as error:
        raise OutreachError(f"{setting.variable}: {error.message}", error.hint) from None


def _refuse_unknown(env: Mapping[str, str]) -> None:
    known = [setting.variable for setting in SETTINGS]
    for variable in env:
        if variable.startswith("OUTREACH_") and variable not in known:
            close = get_close_matches(variable, known, n=1, cutoff=0.7)
            meant = f"Did you mean {close[0]}? " if close else ""
            raise OutreachError(
                f"There is no setting {variable}", f"{meant}The settings are: {', '.join(known)}."
            )
