"""What is wrong with a project, and where."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import Literal

from msgspec import Struct

from orchestrator.core.errors import OutreachError

Severity = Literal["error", "warning"]


class Mark(Struct, frozen=True, order=True, gc=False):
    """A place in a file. Lines and columns count from 1."""

    file: str
    line: int = 1
    column: int = 1


class Finding(Struct, frozen=True):
    """One thing to mend: what is wrong at `mark`, and in `hint` what to do about it. `rule` names
    the check that found it."""

    mark: Mark
    message: str
    hint: str = ""
    rule: str = "form"
    severity: Severity = "error"

    def __str__(self) -> str:
        where = f"{self.mark.file}:{self.mark.line}:{self.mark.column}"
        hint = f" ({self.hint})" if self.hint else ""
        return f"{where}: {self.severity}: {self.message}{hint} [{self.rule}]"


class ProjectErrors(OutreachError):  # noqa: N818 - it holds many
    """The project cannot be used: `findings` lists everything found, in the order of the files."""

    def __init__(self, findings: Iterable[Finding]) -> None:
        self.findings: Sequence[Finding] = in_order(findings)
        super().__init__("\n".join(map(str, self.findings)))


def in_order(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Each finding once, by file, line and column."""
    return tuple(sorted(dict.fromkeys(findings), key=lambda found: (found.mark, found.rule)))


def did_you_mean(word: str, known: Iterable[str], otherwise: str = "") -> str:
    """A hint: the known word that `word` looks like, else `otherwise`, else all known words."""
    words = sorted(known)
    for meant in closest(word, words):
        return f"did you mean {meant!r}?"
    return otherwise or (f"known are: {', '.join(words)}" if words else "")


def closest(word: str, known: Iterable[str]) -> set[str]:
    """The one known word that `word` may be a slip of, or none."""
    return {*get_close_matches(word, sorted(known), n=1)}
