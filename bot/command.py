"""A command: something a subscriber can say as a whole message, parsed and frozen."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from msgspec import Struct

from orchestrator.core.wording import LONGEST, normalise

if TYPE_CHECKING:
    from bot.desk import Desk


class Said(Struct, frozen=True):
    """A reply as it is compared: `words` are normalised, `slash` says it began with `/`, as the
    buttons of a chat do."""

    words: str
    slash: bool = False

    @classmethod
    def of(cls, text: str) -> Said:
        text = text.lstrip()[: LONGEST + 1]
        if not text.startswith("/"):
            return cls(normalise(text))
        command, space, rest = text.partition(" ")
        addressed_to, _, _ = command.partition("@")  # Telegram in groups: /points@our_bot
        return cls(normalise(addressed_to + space + rest), slash=True)


class Command(Struct, frozen=True):
    """One file under `bot/commands/` defines one of these. `WORDS` are whole messages, written in
    any case, width and punctuation."""

    WORDS: ClassVar[tuple[str, ...]] = ()
    CONSENT: ClassVar[bool] = False
    """Whether it gives or withdraws consent, and so comes before everything else."""
    SHOPS: ClassVar[bool] = False
    """Whether its answer depends on how many items are left."""

    @classmethod
    def parse(cls, said: Said) -> Command | None:
        """The command, if that is what was said."""
        return cls() if said.words in spoken(cls.WORDS) else None

    def answer(self, desk: Desk) -> None:
        """What was asked for is done, and answered."""
        raise NotImplementedError


_spoken: dict[tuple[str, ...], frozenset[str]] = {}


def spoken(words: tuple[str, ...]) -> frozenset[str]:
    """These words as they are compared."""
    if words not in _spoken:
        _spoken[words] = frozenset(map(normalise, words))
    return _spoken[words]


def argument(said: Said, words: tuple[str, ...]) -> str | None:
    """What follows one of `words`: `2` in `redeem 2`, `redeem2` and `兑换2`; '' if nothing does,
    None if none of them was said."""
    for word in sorted(spoken(words), key=len, reverse=True):
        rest = said.words.removeprefix(word)
        if said.words.startswith(word) and (
            not rest or rest[0] == " " or rest[0].isdigit() or not word.isascii()
        ):
            return rest.strip()
    return None
