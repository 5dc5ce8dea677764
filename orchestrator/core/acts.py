"""What operators did: entries chained by their hashes, so that none can be changed unseen.

An entry is canonical JSON: keys sorted, no spaces, UTF-8 without escapes that are not needed (what
`json.dumps(…, sort_keys=True, separators=(",", ":"), ensure_ascii=False)` writes). Its hash is the
SHA-256 of that, in hexadecimal digits; its seal is the HMAC-SHA256 of `audit:` and the hash under
the installation's secret. A line of the log is the entry with `hash` and `seal` in it, as canonical
JSON again.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from msgspec import Struct

BEGINNING = "0" * 64
"""What stands for the hash before the first entry's."""


class Deed(Struct, frozen=True):
    """What somebody did: `who` (`cli:ann@host`, `api-key:1f2e3d4c`), `what` (`journey.paused`),
    `about` what, and what was so before and after. No person's data: a subscriber is `subscriber:`
    and the number of their row."""

    who: str
    what: str
    about: str
    before: Mapping[str, Any] = {}
    after: Mapping[str, Any] = {}


class Act(Struct, frozen=True):
    """A deed in the log: the `number`th, at `at`. `entry` is the canonical text, `hash` that of
    the text, `seal` that of the hash under the installation's secret."""

    number: int
    at: datetime
    deed: Deed
    entry: str
    hash: str
    seal: str

    @property
    def line(self) -> str:
        """The entry with its hash and seal, as a line of the log."""
        return line(self.entry, self.hash, self.seal)


class Head(Struct, frozen=True):
    """The last entry there is: its number and hash. Whoever keeps it elsewhere can tell later
    that nothing up to it is missing."""

    number: int = 0
    hash: str = BEGINNING


class Verdict(Struct, frozen=True):
    """What the verification of a log came to. `line` is the first that is broken, from 1, and
    `wrong` what is the matter with it, or '' if nothing is. `sealed` says whether seals were
    looked at."""

    entries: int
    head: Head
    sealed: bool
    line: int = 0
    wrong: str = ""


def chained(deed: Deed, at: datetime, after: Head, secret: bytes) -> Act:
    """The act that follows `after`."""
    number = after.number + 1
    moment = at.astimezone(UTC)
    entry = canonical({
        "number": number,
        "at": f"{moment:%Y-%m-%dT%H:%M:%S.%f}Z",
        "who": deed.who,
        "what": deed.what,
        "about": deed.about,
        "before": dict(deed.before),
        "after": dict(deed.after),
        "previous": after.hash,
    })  # fmt: skip
    digest = hashlib.sha256(entry.encode()).hexdigest()
    return Act(number, moment, deed, entry, digest, seal(digest, secret))


def seal(digest: str, secret: bytes) -> str:
    """The seal of an entry of this hash."""
    return hmac.new(secret, f"audit:{digest}".encode(), "sha256").hexdigest()


def canonical(value: object) -> str:
    """`value` as canonical JSON."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def line(entry: str, digest: str, sealed: str) -> str:
    """An entry's line in the log."""
    return canonical({**json.loads(entry), "hash": digest, "seal": sealed})


def verify(lines: Iterable[str], secret: bytes | None = None, anchor: str = "") -> Verdict:
    """Whether these lines, without their ends, are a whole log from its first entry on, as it was
    written. With the `secret` its seals are looked at too. With an `anchor`, the hash that some
    entry had once, that entry must still be there: a log that was cut short lacks it."""
    head, count, anchored = Head(), 0, not anchor
    sealed = secret is not None
    for number, text in enumerate(lines, 1):
        found = _examined(text, head, secret)
        if isinstance(found, str):
            return Verdict(count, head, sealed, number, found)
        head, count = found, count + 1
        anchored = anchored or head.hash == anchor.lower()
    if not anchored:
        wrong = f"the entry of hash {anchor} is not there: the log was cut short, or rewritten"
        return Verdict(count, head, sealed, count + 1, wrong)
    return Verdict(count, head, sealed)


def _examined(text: str, before: Head, secret: bytes | None) -> Head | str:
    """The head after this line, or what is wrong with it."""
    try:
        said = json.loads(text)
        if canonical(said) != text:
            return "it is not canonical JSON: it was written anew"
        digest, sealed = said.pop("hash"), said.pop("seal")
        number, previous = said["number"], said["previous"]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return "it is no entry of an audit log"
    if hashlib.sha256(canonical(said).encode("utf-8", "surrogatepass")).hexdigest() != digest:
        return f"entry {number} was changed: its hash is another"
    if number != before.number + 1:
        return f"entry {number} follows entry {before.number}: entries are missing or out of order"
    if previous != before.hash:
        return f"entry {number} does not follow the entry before it: that one was another"
    right = b"" if secret is None else seal(digest, secret).encode()
    if right and not hmac.compare_digest(right, str(sealed).encode("utf-8", "surrogatepass")):
        return f"entry {number} was not sealed with this installation's secret"
    return Head(number, digest)
