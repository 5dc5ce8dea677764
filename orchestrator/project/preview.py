"""A message as every phone shows it: each channel, locale and example subscriber side by side."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal

from msgspec import Struct
from msgspec.structs import replace

from orchestrator.core import short_message
from orchestrator.core.alphabets import BASE, CODES, EXTENSION
from orchestrator.core.cost import Prices
from orchestrator.core.errors import OutreachError, RenderError
from orchestrator.core.links import rendered, tracked
from orchestrator.core.media import Picture
from orchestrator.core.model import Content
from orchestrator.core.render import MessageTemplate, TemplateError, compile_message
from orchestrator.project.draft import Draft
from orchestrator.project.examples import Example, Use, bots, examples, lackable, uses
from orchestrator.project.findings import Finding, Mark, did_you_mean, in_order
from orchestrator.project.stepwords import message as message_of
from orchestrator.project.ways import deeper

PushSize = Callable[[Content], tuple[int, int]]
"""How many octets a push takes, and in how many short messages. Raises OutreachError."""

CHANNELS = ("sms", "mms", "wap_push", "chat", "desk")

_WHERE = re.compile(r"(?P<file>[^:]+\.j2)(?::(?P<line>\d+))?: (?P<said>.*)", re.DOTALL)
_INSTEAD = {
    **dict.fromkeys("‘’‚‛′`´", "'"),
    **dict.fromkeys("“”„‟″«»", '"'),
    **dict.fromkeys("‐‑‒–—―−", "-"),
    **dict.fromkeys("\u00a0\u2002\u2003\u2009\u202f\u3000", " "),
    "…": "...",
    "•": "*",
    "\u200b": "",
    "\ufeff": "",
}
"""What says the same in the GSM alphabet."""

_MOST_FORCED = 8

_SUBSCRIBER, _MESSAGE, _SECRET = 10**6, 2**62, b"preview"
"""For links as long as real ones."""


class Trouble(Struct, frozen=True):
    """Why a wording is not sent: where, what is wrong, and what to do about it."""

    where: str
    message: str
    hint: str = ""


class Forced(Struct, frozen=True):
    """A character that the GSM alphabet lacks: how often the text has it, and what may be written
    instead (None: nothing says the same)."""

    letter: str
    count: int
    instead: str | None = None


class Sms(Struct, frozen=True):
    """A text as short messages. `units` of an encoding are septets or UTF-16 units; `left` are
    those still free in the last part. `forced` are characters for which it is UCS-2, the most
    frequent first, of `forced_count` different ones; with what may be written instead it would
    take `parts_without` parts (0: there is no such way)."""

    encoding: str
    parts: tuple[str, ...]
    units: int
    left: int
    forced: tuple[Forced, ...] = ()
    forced_count: int = 0
    parts_without: int = 0


class Shown(Struct, frozen=True, omit_defaults=True):
    """One wording on one phone. `content` is there, or `trouble` says why not. `octets` is the size
    of a push, or of an MMS with its picture as it lies in the project; `messages` how many short
    messages it takes."""

    locale: str
    channel: str
    example: str
    content: Content | None = None
    trouble: Trouble | None = None
    sms: Sms | None = None
    octets: int = 0
    messages: int = 0
    picture: Picture | None = None
    price: Decimal | None = None


class Preview(Struct, frozen=True):
    """A message. `examples` are by locale, and `shown` what they get, but for what an earlier one
    gets as well. `written` is the locale that takes the place of one in which it is not written.
    `findings` are those of `validate` in its files, and what somebody may lack."""

    message: str
    locales: tuple[str, ...]
    channels: tuple[str, ...]
    examples: Mapping[str, tuple[Example, ...]]
    shown: tuple[Shown, ...]
    findings: tuple[Finding, ...]
    journeys: tuple[str, ...] = ()
    currency: str = ""
    written: Mapping[str, str] = {}


class Means(Struct, frozen=True):
    """What a project does not know of itself: how large pushes are, the domain of short links
    (`https://go.example`; empty: links stay as they are), and the `languages` in whose national
    tables SMS may be written."""

    push_size: PushSize | None = None
    site: str = ""
    languages: tuple[str, ...] = ()


def preview(
    draft: Draft,
    name: str,
    *,
    findings: Iterable[Finding] = (),
    given: Sequence[Example] = (),
    locale: str | None = None,
    means: Means = Means(),  # noqa: B008 - frozen
) -> Preview:
    """The message in all its locales, or as somebody of `locale` gets it, for the `given` example
    subscribers or for some made up. Of `findings`, all of the project's, those in its files are
    told. `name` may be that of one of its files. Raises OutreachError if there is none."""
    name = next((it for it, at in draft.template_files.items() if name in at.values()), name)
    files = draft.template_files.get(name)
    if files is None:
        hint = did_you_mean(name, draft.template_files, "see templates/")
        raise OutreachError(f"there is no message {name}", hint)
    prices = draft.settings.prices if draft.settings else Prices()
    used = uses(draft.files[path] for path in files.values())
    chosen = [locale] if locale else list(files)
    whole: dict[str, tuple[Example, ...]] = {}
    instead: dict[str, str] = {}
    shown: list[Shown] = []
    told = [found for found in findings if found.mark.file in files.values()]
    for asked in chosen:
        written = asked if locale is None else _written(asked, files, draft)
        if written and written != asked:
            instead[asked] = written
        spoken = asked or (draft.settings.locale if draft.settings else "en")
        try:
            wording = compile_message(name, {written: draft.files[files[written]]}, written)
        except TemplateError as error:
            mark = Mark(f"templates/{error.file}", error.line, error.column)
            told.append(Finding(mark, error.message, error.hint, "template"))
            whole[asked] = ()
            continue
        here = _Wording(draft, wording, written, spoken, prices, means)
        made = examples(draft, used, spoken)
        theirs = [it if it.complete else it.over(made[0]) for it in given]
        theirs = theirs or [*made, *here.ways(made, used)]
        kept = [*here.distinct(theirs, asked)]
        whole[asked] = tuple(example for example, _ in kept)
        shown += [cell for _, cells in kept for cell in cells]
        told += here.lacks(made[0], used)
    channels = {it.channel for it in shown}
    return Preview(
        message=name,
        locales=tuple(chosen),
        channels=tuple(word for word in CHANNELS if word in channels),
        examples=whole,
        shown=tuple(shown),
        findings=in_order(told),
        journeys=tuple(senders(draft, name)),
        currency=prices.currency,
        written=instead,
    )


def senders(draft: Draft, name: str) -> Iterator[str]:
    """The journeys that send the message."""
    for form in draft.journeys.values():
        steps = form.compiled("").steps.values()
        if any(message_of(placed.step) == name for placed in steps):
            yield form.journey


class _Wording:
    """One message in one locale, for any example."""

    def __init__(
        self,
        draft: Draft,
        wording: MessageTemplate,
        written: str,
        locale: str,
        prices: Prices,
        means: Means,
    ) -> None:
        self._draft = draft
        self._wording = wording
        self._written = written
        self._prices = prices
        self._means = means
        self._extra = bots(draft, locale) if wording.name.startswith("bot/") else {}

    def all(self, example: Example, asked: str) -> list[Shown]:
        """The wording on each of its channels."""
        return [self._one(word, example, asked) for word in self._wording.channels(self._written)]

    def distinct(
        self, several: Iterable[Example], asked: str
    ) -> Iterator[tuple[Example, list[Shown]]]:
        """Each example with what it gets that none before it gets; only those for whom there is
        anything."""
        seen: set[object] = set()
        for example in several:
            cells = self.all(example, asked)
            fresh = [it for it in cells if (it.channel, it.content, it.trouble) not in seen]
            seen |= {(it.channel, it.content, it.trouble) for it in cells}
            if fresh:
                yield example, fresh

    def ways(self, made: Sequence[Example], used: Mapping[str, Use]) -> Iterator[Example]:
        """Examples for what none of those made is told."""
        path = self._draft.template_files[self._wording.name][self._written]
        return deeper(self._draft.files[path], used, made, self._said)

    def _said(self, example: Example) -> list[Content]:
        return [it.content for it in self.all(example, "") if it.content and not it.trouble]

    def lacks(self, example: Example, used: Mapping[str, Use]) -> Iterator[Finding]:
        """What somebody may lack without whom nothing goes."""
        anyway = {cell.trouble for cell in self.all(example, "")}
        for name in lackable(used):
            troubled: dict[Trouble, list[str]] = {}
            for cell in self.all(example.lacking(name), ""):
                if cell.trouble is not None and cell.trouble not in anyway:
                    troubled.setdefault(cell.trouble, []).append(cell.channel)
            for trouble, words in troubled.items():
                file, _, line = trouble.where.partition(":")
                message = f"who lacks {name} gets nothing by {', '.join(words)}"
                mark = Mark(file, int(line or 1))
                yield Finding(mark, message, trouble.hint, "may-lack", "warning")

    def _one(self, word: str, example: Example, asked: str) -> Shown:
        cell = Shown(asked, word, example.name)
        scope = example.scope(self._extra)
        try:
            content = rendered(self._wording, word, self._written, scope)
        except RenderError as error:
            return replace(cell, trouble=_trouble(error, self._wording.name))
        if self._means.site and content.links:
            content = tracked(content, self._means.site, _SUBSCRIBER, _MESSAGE, _SECRET)
        try:
            return self._measured(cell, word, content)
        except OutreachError as error:
            return replace(cell, content=content, trouble=Trouble("", error.message, error.hint))

    def _measured(self, cell: Shown, word: str, content: Content) -> Shown:
        languages = self._means.languages
        price = self._prices.of(word, content, languages) if self._prices != Prices() else None
        cell = replace(cell, content=content, price=price)
        if content.image:
            name = content.image.split(" ")[0]
            picture = self._draft.pictures.get(name)
            if picture is None:
                raise OutreachError(f"there is no picture {name}", f"put it at templates/{name}")
            cell = replace(cell, picture=picture)
        if word == "sms":
            cell = replace(cell, sms=sms(content.text, languages))
        if word == "mms":
            words = len(f"{content.subject}{content.text}".encode())
            cell = replace(cell, octets=words + (cell.picture.size if cell.picture else 0))
        if word == "wap_push" and self._means.push_size is not None:
            octets, messages = self._means.push_size(content)
            cell = replace(cell, octets=octets, messages=messages)
        return cell


def sms(text: str, languages: Sequence[str] = ()) -> Sms:
    """The text in short messages; in the national tables of one of these languages, if that takes
    fewer. Raises TextError for what cannot be sent."""
    coded = short_message.split(text, languages=languages)
    wide = coded.data_coding == short_message.UCS2
    size = 2 if wide else 1
    octets = short_message.MAX_OCTETS - (coded.parts[-1][0] + 1 if coded.headed else 0)
    room = octets // 2 if wide else octets * 8 // 7
    bare = coded.bare()
    forced = [*_forced(text)] if wide else []
    plain = "".join(_INSTEAD.get(it, it) for it in text)
    saves = bool(forced) and not any(_forced(plain))
    coding = short_message.coding(coded.data_coding, coded.tables)
    tables = coded.tables.single or coded.tables.locking
    spoken = "".join(f" {it}" for it in languages if CODES.get(it) == tables)
    return Sms(
        encoding="UCS-2" if wide else f"GSM-7{spoken}",
        parts=tuple(short_message.decode(coding, part) for part in bare),
        units=sum(map(len, bare)) // size,
        left=room - len(bare[-1]) // size,
        forced=tuple(forced[:_MOST_FORCED]),
        forced_count=len(forced),
        parts_without=len(short_message.split(plain).parts) if saves else 0,
    )


def _forced(text: str) -> Iterator[Forced]:
    known = {*BASE, *EXTENSION.values()}
    lacking: dict[str, int] = {}
    for letter in text:
        if letter not in known:
            lacking[letter] = lacking.get(letter, 0) + 1
    for letter, count in sorted(lacking.items(), key=lambda it: -it[1]):
        yield Forced(letter, count, _INSTEAD.get(letter))


def _written(locale: str, files: Mapping[str, str], draft: Draft) -> str:
    """The locale that somebody of `locale` is written to in."""
    folded = {it.lower(): it for it in files}
    for spoken in (locale, draft.settings.locale if draft.settings else ""):
        parts = spoken.replace("_", "-").lower().split("-")
        for end in range(len(parts), 0, -1):
            if (found := folded.get("-".join(parts[:end]))) is not None:
                return found
    return folded.get("", next(iter(files)))


def _trouble(error: RenderError, name: str) -> Trouble:
    found = _WHERE.fullmatch(error.message)
    if found is None:
        return Trouble(f"templates/{name}", error.message, error.hint)
    line = f":{found['line']}" if found["line"] else ""
    return Trouble(f"templates/{found['file']}{line}", found["said"], error.hint)
