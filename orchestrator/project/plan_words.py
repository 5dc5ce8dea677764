"""A plan in words: for a terminal by way of `cli`, and as a comment for a pull request."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.project.changes import Change, StepChange
from orchestrator.project.plan import JourneyPlan, Plan, Stand

SIGNS = {"new": "+", "changed": "~", "removed": "-"}

_SHORT = 8


def short(version: str) -> str:
    """A version or a hash, as much of it as people need."""
    return version[:_SHORT]


def many(people: int) -> str:
    """`1 person`, `1,204 people`."""
    return f"{people:,} {'person' if people == 1 else 'people'}"


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
    other = f"; {len(plan.changes)} other changes" if plan.changes else ""
    back = f" (back to project {plan.back_to})" if plan.back_to else ""
    return f"{plan.project}{back}: {said}{other}"


def consequence(plan: Plan) -> str:
    """What becomes of people, in one line."""
    if plan.stranded:
        return (
            f"{many(plan.stranded)} would be stranded: this cannot be applied as it is. Say in "
            "the journey where they go, with in_flight: {move: {step: other}}, or in_flight: stay"
        )
    if not plan.moving:
        return "nobody moves"
    leave = sum(it.count("leaves") for it in plan.journeys)
    leaving = f", {many(leave)} of them out of the journey" if leave else ""
    move = "moves" if plan.moving == 1 else "move"
    due = "is" if plan.now == 1 else "are"
    return f"{many(plan.moving)} {move}{leaving}; {plan.now:,} {due} due at once"


def worth_telling(plan: Plan) -> list[JourneyPlan]:
    """The journeys that change, and those in which somebody moves."""
    return [it for it in plan.journeys if it.kind != "unchanged" or it.moving or it.stranded]


def title(it: JourneyPlan) -> str:
    """The journey, its versions, and what holds for people in older ones."""
    versions = " → ".join(short(one) for one in (it.before, it.after) if one)
    rule = it.rule.word if it.after and it.before else ""
    return "  ".join(part for part in (it.journey, versions, rule and f"in_flight: {rule}") if part)


def cost(it: JourneyPlan, currency: str) -> str:
    """What the dearest way through costs, if that changes, or ''."""
    if it.cost_before == it.cost_after or it.cost_after is None:
        return ""
    was = f"{it.cost_before} → " if it.cost_before is not None else ""
    return f"the dearest way through costs one person {was}{it.cost_after} {currency}".rstrip()


def step_line(change: StepChange) -> str:
    """`quiz (at, within)`."""
    return change.step + (f" ({', '.join(change.what)})" if change.what else "")


def place(stand: Stand) -> str:
    """Where they stand."""
    if stand.status == "control":
        return "held out"
    return f"at {stand.step}" + (", waiting" if stand.waiting else "")


def fate(stand: Stand) -> str:
    """What becomes of the people at one place."""
    if stand.fate == "stranded":
        return f"STRANDED: {why(stand)}"
    if stand.fate == "leaves":
        return "leave the journey"
    if stand.fate == "stays":
        return "stay"
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


def why(stand: Stand) -> str:
    """Why people cannot go on, and what to do."""
    them = f"{{{stand.step}: …}}"
    match stand.why:
        case "gone":
            return f"the new version has no such step; map it: move: {them}"
        case "shifted":
            return (
                f"the step has no id, and its neighbours are other ones now; map it: move: {them}"
            )
        case "another kind":
            return f"it is another kind of step now, and they wait at it; map it: move: {them}"
        case "again":
            same = f"{{{stand.step}: {stand.step}}}"
            return f"they would meet {', '.join(stand.again)} again; if that is meant: move: {same}"
        case "skipped":
            same = f"{{{stand.step}: {stand.step}}}"
            steps = ", ".join(stand.skipped)
            return f"they would never meet {steps}; if that is meant: move: {same}"
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
    mark = "🔴" if plan.stranded else "🟡" if plan.moving else "🟢"
    yield f"### {mark} {headline(plan)}"
    yield ""
    yield f"**{_plain(consequence(plan))}**"
    for it in worth_telling(plan):
        yield ""
        yield f"#### `{it.journey}`: {it.kind}"
        yield ""
        if it.before and it.after and it.before != it.after:
            yield f"- `{short(it.before)}` → `{short(it.after)}`, in_flight: {it.rule.word}"
        for change in it.steps:
            yield f"- {change.change}: `{step_line(change)}`"
        if said := cost(it, plan.currency):
            yield f"- {said}"
        for lost in it.lost:
            yield (
                f"- {many(lost.people)} in `{short(lost.version)}` will not get "
                f"`{lost.message}` at `{lost.step}`: the message is gone"
            )
        if it.stands:
            yield ""
            yield "| version | where they stand | people | what becomes of them |"
            yield "|---|---|--:|---|"
            for stand in it.stands:
                what = _plain(fate(stand))
                said = f"**{what}**" if stand.fate == "stranded" else what
                yield f"| `{short(stand.version)}` | {place(stand)} | {stand.people:,} | {said} |"
    if plan.changes:
        yield ""
        for kind, sign, changes in grouped(plan):
            names = ", ".join(f"`{change.name}`" for change in changes)
            yield f"- {kind}, {sign}: {names}"
    if plan.findings:
        yield ""
        yield f"<details><summary>{len(plan.findings)} warnings</summary>\n"
        for found in plan.findings:
            yield f"- {_plain(str(found))}"
        yield "\n</details>"
    yield ""
    yield (
        f"<sub>people counted {plan.counted_at:%Y-%m-%d %H:%M} UTC · project "
        f"`{short(plan.base) or 'none'}` → `{short(plan.target)}`</sub>"
    )


def _plain(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")
