"""What is allowed has a reason, and is there."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.project.draft import Draft
from orchestrator.project.findings import Finding, did_you_mean
from orchestrator.project.rules.base import Rule


class AllowReason(Rule):
    """`outreach: allow {rule}` does not say why

    Write `# outreach: allow some-rule because …`: whoever reads it next year wants to know.
    """

    runs_anyway = True
    last = True

    def check(self, draft: Draft) -> Iterator[Finding]:
        for it in draft.allowances:
            if it.rule in _rules() and not it.because:
                hint = f"write: outreach: allow {it.rule} because …"
                yield self.at(it.mark, hint, rule=it.rule)


class AllowForm(Rule):
    """`outreach: {word}` is not understood

    A comment that begins with `outreach:` goes on with `allow some-rule because …`.
    """

    severity = "warning"
    last = True

    def check(self, draft: Draft) -> Iterator[Finding]:
        for it in draft.allowances:
            if not it.meant:
                hint = "write: outreach: allow some-rule because …"
                yield self.at(it.mark, hint, word=it.rule)


class AllowUnknown(Rule):
    """there is no rule {rule!r} to allow

    Every finding ends with the name of its rule.
    """

    runs_anyway = True
    last = True

    def check(self, draft: Draft) -> Iterator[Finding]:
        for it in draft.allowances:
            if it.meant and it.rule not in _rules():
                otherwise = "`outreach validate --rules` lists them"
                yield self.at(it.mark, did_you_mean(it.rule, _rules(), otherwise), rule=it.rule)


class AllowNever(Rule):
    """what {rule!r} finds cannot be allowed

    The project could not run with it.
    """

    runs_anyway = True
    last = True

    def check(self, draft: Draft) -> Iterator[Finding]:
        for it in draft.allowances:
            rule = _rules().get(it.rule)
            if rule is not None and not rule.may_be_allowed():
                yield self.at(it.mark, "mend it, and take this out", rule=it.rule)


class AllowIdle(Rule):
    """{rule!r} finds nothing on line {line}

    What is no longer needed only hides the next mistake.
    """

    severity = "warning"
    last = True

    def check(self, draft: Draft) -> Iterator[Finding]:
        for it in draft.idle:
            hint = "take it out, or put it on the line above what it allows"
            yield self.at(it.mark, hint, rule=it.rule, line=it.line)


def _rules() -> dict[str, type[Rule]]:
    return {rule.name(): rule for rule in Rule.__subclasses__()}
