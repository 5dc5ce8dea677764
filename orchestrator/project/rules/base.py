"""What a lint rule is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from inspect import cleandoc
from typing import ClassVar

from orchestrator.project.draft import Draft
from orchestrator.project.findings import Finding, Mark, Severity


class Rule:
    """One thing that must hold. The docstring's first paragraph is its message, with `{words}`
    filled in; the rest explains it to authors."""

    severity: ClassVar[Severity] = "error"

    runs_anyway: ClassVar[bool] = False
    """Whether a project that breaks it, and was applied before it was a rule, still runs."""

    last: ClassVar[bool] = False
    """Whether it looks at what the others found."""

    @classmethod
    def may_be_allowed(cls) -> bool:
        """Whether an author may mean it: without what it asks for, the project still runs."""
        return (cls.severity == "warning" or cls.runs_anyway) and not cls.last

    @classmethod
    @cache
    def name(cls) -> str:
        """`UnknownTemplate` is `unknown-template`."""
        return re.sub(r"(?<=.)(?=[A-Z])", "-", cls.__name__).lower()

    @classmethod
    @cache
    def message(cls) -> str:
        """The first paragraph, in one line."""
        first, _, _ = cleandoc(cls.__doc__ or "").partition("\n\n")
        return " ".join(first.split())

    @classmethod
    def more(cls) -> str:
        """What the docstring says besides the message."""
        return cleandoc(cls.__doc__ or "").partition("\n\n")[2]

    def check(self, draft: Draft) -> Iterator[Finding]:
        """Whatever breaks the rule."""
        raise NotImplementedError

    def at(self, mark: Mark, hint: str = "", **words: object) -> Finding:
        """The finding that the rule is broken at `mark`."""
        message = self.message().format_map(words)
        return Finding(mark, message, hint, self.name(), self.severity)
