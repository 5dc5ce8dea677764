"""One root for every error we raise on purpose; each says what to do about it."""

from __future__ import annotations


class OutreachError(Exception):
    """Something a person can mend: `message` says what is wrong, `hint` what to do about it."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n  {self.hint}" if self.hint else self.message


class GrammarError(OutreachError):
    """A value an author wrote does not mean anything: the loader adds file and line."""


class RenderError(OutreachError):
    """A template failed, or went over its bounds, for one subscriber."""
