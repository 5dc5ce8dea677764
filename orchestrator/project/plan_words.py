"""A plan in words: for a terminal by way of `cli`, and as a comment for a pull request."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.project.changes import Change, StepChange
from orchestrator.project.costs import Cost
from orchestrator.project.plan import JourneyPlan, Plan, Stand

SIGNS = {"new": "+", "changed": "~", "removed": "-"}

_SHORT = 8


def short(version: str) -> str:
    """A version or a hash, as much of it as people need."""
    return version[:_SHORT]


def many(people: int) -> str:
    """`1 person`, `1,204 people`."""
    return f"{people:,} {'person' if people == 1 else 'people'}"


def counted(number: int, thing: str) -> str:
    """`1 warning`, `3 warnings`."""
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


def headline(plan: Plan) -> str:
    """What changes, in one line."""
    if not plan.changed:
        return f"{plan.project}: nothing has changed"
    kinds = [
        f"{number} {kind}"
        for kind in ("new", "changed", "removed")
        if (number := sum(it.kind == kind for it in plan.journeys))
    ]
    said = f"journeys: {', '.join(kinds)}" if kinds else "no journey changes"
    other = f"; {counted(len(plan.changes), 'other change')}" if plan.changes else ""
    back = f" (back to project {plan.back_to})" if plan.back_to else ""
    return f"{plan.project}{back}: {said}{other}"


def consequence(plan: Plan) -> str:
    """What becomes of people, in one line."""
    if plan.stranded:
        where = (
            "with --move JOURNEY/STEP=STEP, or --stay: they finish where they are"
            if plan.back_to
            else "in the journey, with in_flight: {move: {step: other}}, or in_flight: stay"
        )
        return (
            f"{many(plan.stranded)} would be stranded: this cannot be applied as it is. Say where "
            f"they go {where}"
        )
    lost = any(it.lost for it in plan.journeys)
    missing = ", but not everybody will get all: messages are gone" if lost else ""
    if not plan.moving:
        return f"nobody moves{missing}"
    leave = sum(it.count("leaves") for it in plan.journeys)
    leaving = f", {leave:,} of them out of the journey" if leave else ""
    move = "moves" if plan.moving == 1 else "move"
    due = "is" if plan.now == 1 else "are"
    return f"{many(plan.moving)} {move}{leaving}; {plan.now:,} {due} due at once{missing}"


def worth_telling(plan: Plan) -> list[JourneyPlan]:
    """The journeys that change, and those in which somebody moves."""
    return [it for it in plan.journeys if it.kind != "unchanged" or it.moving or it.stranded]


def title(it: JourneyPlan) -> str:
    """The journey, its versions, and what holds for people in older ones."""
    versions = " → ".join(short(one) for one in (it.before, it.after) if one)
    rule = it.rule.word if it.after and it.before else ""
    return "  ".join(part for part in (it.journey, versions, rule and f"in_flight: {rule}") if part)


def itself(it: JourneyPlan) -> str:
    """What changes besides steps, or ''."""
    keys = ", ".join(key for key in it.what if key != "steps")
    own = [f"the journey itself: {keys}"] if keys else []
    order = ["the order of its steps"] if "steps" in it.what else []
    if own or order or it.steps or it.kind != "changed":
        return "; ".join(own + order)
    return "only comments or layout differ"


def cost(it: JourneyPlan, currency: str) -> str:
    """What one person costs, if that changes, or ''."""
    if it.cost_before == it.cost_after or it.cost_after is None:
        return ""
    was = f" (was {_amounts(it.cost_before)})" if it.cost_before is not None else ""
    by_way = ", by the way they take" if it.cost_after.least != it.cost_after.most else ""
    return f"one person costs {_amounts(it.cost_after)} {currency}".rstrip() + by_way + was


def _amounts(it: Cost) -> str:
    return it.least if it.least == it.most else f"{it.least} to {it.most}"


def step_line(change: StepChange) -> str:
    """`quiz (at, within)`."""
    return change.step + (f" ({', '.join(change.what)})" if change.what else "")


def place(stand: Stand) -> str:
    """Where they stand."""
    if stand.status == "control":
        return "held out"
    return f"at {stand.step}" + (", waiting" if stand.waiting else "")


def fate(stand: Stand, it: JourneyPlan, back: bool = False) -> str:
    """What becomes of the people at one place of a journey; `back` if by a rollback."""
    if stand.fate == "stranded":
        return f"STRANDED: {why(stand, it.journey if back else '')}"
    if stand.fate == "leaves":
        return "leave the journey"
    if stand.fate == "stays":
        return "stay" if it.after else "finish it: the journey is removed"
    if stand.status == "control":
        return "measured by the new version"
    said = f"to {stand.to}"
    if stand.waiting:
        said += ", go on waiting" if stand.keeps else ", begin it anew"
    if stand.now:
        said += f"; {stand.now:,} due at once"
    if stand.again:
        said += f"; meet again: {', '.join(stand.again)}"
    if stand.skipped:
        said += f"; never meet: {', '.join(stand.skipped)}"
    return said


def why(stand: Stand, back: str = "") -> str:
    """Why people cannot go on, and what to do. `back` is the journey, if a rollback is to be told
    where they go; else its file is."""

    def mapped(step: str, to: str = "…") -> str:
        return f"--move {back}/{step}={to}" if back else f"move: {{{step}: {to}}}"

    anyway = f"if that is meant: {mapped(stand.step, stand.step)}"
    match stand.why:
        case "gone":
            step, to = next(iter(stand.meant.items()), (stand.step, "…"))
            if stand.slip:
                return (
                    f"the new version has no such step, and `move` says {stand.slip}; write: "
                    f"{mapped(stand.step, to)}"
                )
            return f"the new version has no such step; map it: {mapped(step, to)}"
        case "shifted":
            return (
                "the step has no id, and its neighbours are other ones now; map it: "
                f"{mapped(stand.step)}"
            )
        case "another kind":
            return (
                f"it is another kind of step now, and they wait at it; map it: {mapped(stand.step)}"
            )
        case "again":
            return f"they would meet {', '.join(stand.again)} again; {anyway}"
        case "skipped":
            return f"they would never meet {', '.join(stand.skipped)}; {anyway}"
    return "a person of yours has them, under this step's name; keep the name, or map it to leave"


def staying(it: JourneyPlan) -> Iterator[tuple[str, int, bool]]:
    """By version: how many people stay on it, and whether it is the one to be applied."""
    found: dict[str, int] = {}
    for stand in it.stands:
        if stand.fate == "stays":
            found[stand.version] = found.get(stand.version, 0) + stand.people
    for version, people in found.items():
        yield version, people, version == it.after


def grouped(plan: Plan) -> Iterator[tuple[str, str, list[Change]]]:
    """Other changes by kind and sign."""
    found: dict[tuple[str, str], list[Change]] = {}
    for change in plan.changes:
        found.setdefault((change.kind, change.change), []).append(change)
    for (kind, sign), changes in found.items():
        yield kind, sign, changes


def markdown(plan: Plan) -> str:
    """The plan as a comment for a pull request."""
    return "\n".join(_markdown(plan)) + "\n"


def _markdown(plan: Plan) -> Iterator[str]:
    lost = any(it.lost for it in plan.journeys)
    mark = "🔴" if plan.stranded else "🟡" if plan.moving or lost else "🟢"
    yield f"### {mark} {headline(plan)}"
    yield ""
    yield f"**{_plain(consequence(plan))}**"
    for it in worth_telling(plan):
        yield ""
        yield f"#### `{it.journey}`: {it.kind}"
        lines = [*_listed(it, plan.currency)]
        if lines:
            yield ""
            yield from lines
        if it.stands:
            yield ""
            yield "| version | where they stand | people | what becomes of them |"
            yield "|---|---|--:|---|"
            for stand in it.stands:
                what = _plain(fate(stand, it, plan.back_to > 0))
                said = f"**{what}**" if stand.fate == "stranded" else what
                yield f"| `{short(stand.version)}` | {place(stand)} | {stand.people:,} | {said} |"
    if plan.changes:
        yield ""
        for kind, sign, changes in grouped(plan):
            names = ", ".join(f"`{change.name}`" for change in changes)
            yield f"- {kind}, {sign}: {names}"
    if plan.findings:
        yield ""
        yield f"<details><summary>{counted(len(plan.findings), 'warning')}</summary>\n"
        for found in plan.findings:
            yield f"- {_plain(str(found))}"
        yield "\n</details>"
    yield ""
    yield (
        f"<sub>people counted {plan.counted_at:%Y-%m-%d %H:%M} UTC · project "
        f"`{short(plan.base) or 'none'}` → `{short(plan.target)}`</sub>"
    )


def _listed(it: JourneyPlan, currency: str) -> Iterator[str]:
    if it.before and it.after and it.before != it.after:
        yield f"- `{short(it.before)}` → `{short(it.after)}`, in_flight: {it.rule.word}"
    if said := itself(it):
        yield f"- {said}"
    for change in it.steps:
        yield f"- {change.change}: `{step_line(change)}`"
    if said := cost(it, currency):
        yield f"- {said}"
    for lost in it.lost:
        yield (
            f"- {many(lost.people)} in `{short(lost.version)}` will not get "
            f"`{lost.message}` at `{lost.step}`: the message is gone"
        )


def _plain(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")
