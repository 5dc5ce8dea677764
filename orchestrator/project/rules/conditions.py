"""Conditions can hold, and branches can be taken."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, get_args

from msgspec import Struct

from orchestrator.core.expression import Condition
from orchestrator.core.feed import Feed
from orchestrator.core.journey import Entry, Goal, LeaveRule, Unless
from orchestrator.core.project import EarningRule
from orchestrator.core.steps.ask import Answer, Ask
from orchestrator.core.steps.hand_over import HandOver, Said
from orchestrator.core.steps.wait_for import WaitFor
from orchestrator.core.steps.when import Case, When
from orchestrator.core.wording import normalise
from orchestrator.project.draft import Draft
from orchestrator.project.findings import Finding, Mark
from orchestrator.project.forms import AttributeKind
from orchestrator.project.holding import BUILT_IN, EVERY_KIND, Kind, Kinds, fault, fits
from orchestrator.project.rules.base import Rule

_KINDS: dict[str, frozenset[Kind]] = {
    "text": frozenset({"string", "null"}),
    "number": frozenset({"number", "null"}),
    "boolean": frozenset({"boolean", "null"}),
    "list": frozenset({"list", "null"}),
    "any": EVERY_KIND,
}
_TEXT: Kinds = {"event.text": frozenset({"string"})}
"""What a question's answer is."""


class NeverHolds(Rule):
    """this condition never holds

    What it asks for contradicts itself, or compares what is never of the same kind: numbers are
    written without quotes, texts with them.
    """

    runs_anyway = True

    def check(self, draft: Draft) -> Iterator[Finding]:
        kinds = kinds_of(draft)
        for condition, mark, owner in conditions(draft):
            if not isinstance(owner, Goal):
                told = _TEXT if isinstance(owner, Answer) else told_by(draft, owner)
                known = {**kinds, **told} if told else kinds
                if why := fault(condition, known):
                    yield self.at(mark, why)


class DeadBranch(Rule):
    """nobody ever takes this branch

    The first branch that fits is taken, and whoever this one is for fits one above it.
    """

    runs_anyway = True

    def check(self, draft: Draft) -> Iterator[Finding]:
        kinds = kinds_of(draft)
        for _, step in draft.each(When):
            yield from self._dead(draft, step.when, kinds)
        for _, ask in draft.each(Ask):
            yield from self._dead(draft, ask.reply, {**kinds, **_TEXT})
        for _, handed in draft.each(HandOver):
            named = {said for result in handed.outcome for said in result.is_}
            for result in handed.outcome:
                if result.else_ is not None and named.issuperset(get_args(Said)):
                    yield self.at(draft.places.mark(result), "the branches above name all outcomes")

    def _dead(
        self, draft: Draft, branches: Sequence[Case | Answer], kinds: Kinds
    ) -> Iterator[Finding]:
        before: list[tuple[Condition, Case | Answer]] = []
        for branch in branches:
            own = [branch.if_] if branch.if_ is not None else []
            words = isinstance(branch, Answer) and branch.is_
            if (own or branch.else_ is not None) and before and not words:
                above = [condition for condition, _ in before]
                possible = not own or fault(own[0], kinds) is None
                if possible and not fits(own, above, kinds):
                    yield self.at(draft.places.mark(branch), _taken(draft, own, before, kinds))
            before += [(condition, branch) for condition in own]


def _taken(
    draft: Draft, own: list[Condition], before: list[tuple[Condition, Any]], kinds: Kinds
) -> str:
    for condition, branch in before:
        if not fits(own, [condition], kinds):
            line = draft.places.mark(branch).line
            return f"whoever it is for takes the branch on line {line}: put this one above it"
    return "the branches above it take everybody: take it out, or mend their conditions"


class AnswerTaken(Rule):
    """{word!r} is taken already by the branch on line {line}

    Answers are the same whatever their case, width and punctuation: `Yes!` is `yes`.
    """

    runs_anyway = True

    def check(self, draft: Draft) -> Iterator[Finding]:
        mark = draft.places.mark
        for _, ask in draft.each(Ask):
            for number, answer in enumerate(ask.reply):
                for place, word in enumerate(answer.is_):
                    if taker := _taker(ask.reply[:number], answer.is_[:place], answer, word):
                        hint = "say it in one branch only"
                        line = mark(taker).line
                        yield self.at(mark(answer, "is", place), hint, word=word, line=line)
        for _, step in draft.each(HandOver):
            first: dict[str, Struct] = {}
            for result in step.outcome:
                for place, said in enumerate(result.is_):
                    if said in first:
                        line = mark(first[said]).line
                        hint = "say it in one branch only"
                        yield self.at(mark(result, "is", place), hint, word=said, line=line)
                    first.setdefault(said, result)


def _taker(
    above: Sequence[Answer], beside: Sequence[str], answer: Answer, word: str
) -> Answer | None:
    """The branch that takes the word before its own does."""
    said = normalise(word)
    for other in above:
        if any(normalise(it) == said for it in other.is_):
            return other
        test = other.if_
        if test and test.names() <= {"event.text"} and test.holds({"event": {"text": word}}):
            return other
    return answer if any(normalise(it) == said for it in beside) else None


def counted_kinds(draft: Draft) -> dict[str, AttributeKind]:
    """What conditions know of what events count, by its name among the attributes."""
    feed = draft.feed.compiled() if draft.feed else Feed()
    return {
        f"usage.{it}": "number"
        for name, measure in feed.measures.items()
        for it in measure.names(name)
    }


def kinds_of(draft: Draft) -> Kinds:
    """What is known of names: what everybody has, and what the project declares."""
    declared = {**counted_kinds(draft), **(draft.settings.attributes if draft.settings else {})}
    return {**{f"subscriber.{name}": _KINDS[kind] for name, kind in declared.items()}, **BUILT_IN}


def happening(owner: object) -> str | None:
    """The event that its condition is about, if it is a certain one."""
    if isinstance(owner, Entry | Unless | Goal | LeaveRule | EarningRule):
        return owner.on
    return owner.wait_for if isinstance(owner, WaitFor) else None


def told_by(draft: Draft, owner: object) -> Kinds:
    """What is known of the properties of the event that its condition is about."""
    declared = draft.feed.events.get(happening(owner) or "") if draft.feed else None
    if declared is None:
        return {}
    kinds = declared.compiled().properties
    return {f"event.{name}": _KINDS[kind] for name, kind in kinds.items()}


def conditions(draft: Draft) -> Iterator[tuple[Condition, Mark, object]]:
    """Every condition, where it stands, and what has it. Many rules ask; it is looked up once."""
    if not draft.conditions:
        draft.conditions += _conditions(draft)
    return iter(draft.conditions)


def _conditions(draft: Draft) -> Iterator[tuple[Condition, Mark, object]]:
    for struct in draft.written():
        condition = getattr(struct, "if_", None) or getattr(struct, "condition", None)
        if isinstance(condition, Condition):
            yield condition, draft.places.mark(struct, "if"), struct
        if isinstance(struct, Entry) and struct.still is not None:
            yield struct.still, draft.places.mark(struct, "still"), struct
    if draft.segments:
        for name, condition in draft.segments.segments.items():
            yield condition, draft.places.mark(draft.segments, "segments", name), draft.segments
