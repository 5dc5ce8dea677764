"""The steps of a journey can be reached, one after the other."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import get_args

from orchestrator.core.grammar import At
from orchestrator.core.steps.ask import Answer, Ask
from orchestrator.core.steps.base import Block, Step
from orchestrator.core.steps.hand_over import HandOver, Result, Said
from orchestrator.core.steps.leave import Leave
from orchestrator.core.steps.when import Case, When
from orchestrator.project.draft import Draft
from orchestrator.project.findings import Finding
from orchestrator.project.rules.base import Rule

ASIDE = ("send", "award", "set", "emit", "enroll")
"""Steps that are done in one go, and so may answer while a question stays open."""


class Unreachable(Rule):
    """nobody ever comes to this step

    Everybody leaves the journey before it.
    """

    def check(self, draft: Draft) -> Iterator[Finding]:
        for form in draft.journeys.values():
            for block in _blocks(form.steps):
                for step, following in pairwise(block):
                    if _ends(step):
                        word = f"`{step.word()}` on line {draft.places.mark(step).line}"
                        hint = f"everybody leaves at {word}: delete the steps after it, or move it"
                        yield self.at(draft.places.mark(following), hint)
                        break


class ElseNotLast(Rule):
    """what stands after `else` is never looked at"""

    def check(self, draft: Draft) -> Iterator[Finding]:
        for form in draft.journeys.values():
            for step in draft.within(form):
                for case, following in pairwise(_cases(step)):
                    if case.else_ is not None:
                        hint = "put the `else` last"
                        yield self.at(draft.places.mark(following), hint)
                        break


class BranchForm(Rule):
    """this branch does not say when it is taken

    A branch is `if` with `do` (in `reply` also `is` with `do`, in `outcome` only that), or `else`
    alone.
    """

    def check(self, draft: Draft) -> Iterator[Finding]:
        for form in draft.journeys.values():
            for step in draft.within(form):
                for case in _cases(step):
                    asks = getattr(case, "if_", None) is not None
                    tests = asks or bool(getattr(case, "is_", ()))
                    otherwise = case.else_ is not None
                    if tests == otherwise or (otherwise and case.do):
                        words = _WORDS[type(case)]
                        hint = f"write one of {words}; steps under `else` stand without `do`"
                        yield self.at(draft.places.mark(case), hint)


class EmptyBranch(Rule):
    """this branch does nothing"""

    severity = "warning"

    def check(self, draft: Draft) -> Iterator[Finding]:
        for form in draft.journeys.values():
            for step in draft.within(form):
                for case in _cases(step):
                    if not (case.do if case.else_ is None else case.else_):
                        yield self.at(draft.places.mark(case), "write its steps, or leave it out")


class NoSteps(Rule):
    """this journey has no steps"""

    def check(self, draft: Draft) -> Iterator[Finding]:
        for form in draft.journeys.values():
            if not form.steps:
                yield self.at(draft.places.mark(form, "steps"), "write at least one")


class ElseWaits(Rule):
    """`{word}` cannot stand in the `else` of a question

    The question stays open after an answer that was not understood: only steps that are done at
    once may stand there (send, award, set, emit, enroll), without `at`.
    """

    def check(self, draft: Draft) -> Iterator[Finding]:
        for form in draft.journeys.values():
            for step in draft.within(form):
                for answer in step.reply if isinstance(step, Ask) else ():
                    for inner in answer.else_ or ():
                        if inner.word() not in ASIDE or inner.at:
                            word = inner.word() if not inner.at else "at"
                            hint = f"there may stand: {', '.join(ASIDE)}"
                            yield self.at(draft.places.mark(inner), hint, word=word)


class AtBackwards(Rule):
    """`at: day {day} {time}` lies before the step above it, at day {last_day} {last_time}"""

    def check(self, draft: Draft) -> Iterator[Finding]:
        for form in draft.journeys.values():
            yield from self._block(draft, form.steps, None)

    def _block(self, draft: Draft, block: Block, last: At | None) -> Iterator[Finding]:
        for step in block:
            at = step.at
            if at and last and (at.day, at.time) < (last.day, last.time):
                yield self.at(
                    draft.places.mark(step, "at"),
                    "put the steps in the order of their times",
                    day=at.day,
                    time=f"{at.time:%H:%M}",
                    last_day=last.day,
                    last_time=f"{last.time:%H:%M}",
                )
            last = at or last
            for _, inner in step.blocks():
                yield from self._block(draft, inner, last)


class EntryForm(Rule):
    """this does not say who enters

    An entry is `on` with an event, or `segment` with `every`; both may have an `if`.
    """

    def check(self, draft: Draft) -> Iterator[Finding]:
        for form in draft.journeys.values():
            for entry in form.enter:
                by_segment = entry.segment is not None and entry.every is not None
                half = (entry.segment is None) != (entry.every is None)
                if half or by_segment == (entry.on is not None):
                    hint = "write `on: an.event`, or `segment: some` with `every: day at 09:30`"
                    yield self.at(draft.places.mark(entry), hint)


class LeaveForm(Rule):
    """this does not say who leaves"""

    def check(self, draft: Draft) -> Iterator[Finding]:
        for form in draft.journeys.values():
            for rule in form.leave:
                if rule.on is None and rule.condition is None:
                    yield self.at(draft.places.mark(rule), "write `on: an.event` or `if: …`")


class NobodyEnters(Rule):
    """nothing brings anybody into this journey"""

    severity = "warning"

    def check(self, draft: Draft) -> Iterator[Finding]:
        enrolled = {
            getattr(step, "enroll", None)
            for form in draft.journeys.values()
            for step in draft.within(form)
        }
        for form in draft.journeys.values():
            if not form.enter and form.journey not in enrolled:
                hint = "write `enter`, or `enroll` it from another journey"
                yield self.at(draft.places.mark(form), hint)


_WORDS = {Case: "if or else", Answer: "is, if or else", Result: "is or else"}


def _cases(step: object) -> tuple[Case | Answer | Result, ...]:
    match step:
        case When():
            return step.when
        case Ask():
            return step.reply
        case HandOver():
            return step.outcome
    return ()


def _blocks(block: Block) -> Iterator[Block]:
    yield block
    for step in block:
        for _, inner in step.blocks():
            yield from _blocks(inner)


def _ends(step: Step) -> bool:
    """Whether nobody goes on to what follows the step."""
    if isinstance(step, Leave):
        return True
    if isinstance(step, When | HandOver) and not any(it.else_ is not None for it in _cases(step)):
        named = {said for it in _cases(step) for said in getattr(it, "is_", ())}
        if not named.issuperset(get_args(Said)):
            return False
    blocks = [inner for _, inner in step.blocks()]
    return bool(blocks) and all(any(_ends(each) for each in inner) for inner in blocks)
