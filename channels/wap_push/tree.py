"""A push document as a tree, before it is octets or XML."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from orchestrator.core.errors import OutreachError


class PushError(OutreachError):
    """A push document that cannot be written, or octets that are none."""


class Element(Struct, frozen=True):
    """`children` are elements and texts, in order."""

    name: str
    attributes: tuple[tuple[str, str], ...] = ()
    children: tuple[Element | str, ...] = ()

    def get(self, attribute: str) -> str:
        """The attribute's value; empty if it is not there."""
        return next((value for name, value in self.attributes if name == attribute), "")

    def all(self, name: str) -> Iterator[Element]:
        """The children of this name."""
        return (it for it in self.children if isinstance(it, Element) and it.name == name)

    @property
    def text(self) -> str:
        return "".join(it for it in self.children if isinstance(it, str))
