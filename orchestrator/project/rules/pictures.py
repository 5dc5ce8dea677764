"""Pictures that messages name are there."""

from __future__ import annotations

import re
from collections.abc import Iterator

from orchestrator.core.media import SUFFIXES
from orchestrator.project.draft import Draft
from orchestrator.project.findings import Finding, Mark, did_you_mean
from orchestrator.project.rules.base import Rule

_IMAGE = re.compile(r"\{%-?\s*block (?:mms|chat)_image\b.*?%\}(.*?)\{%-?\s*endblock", re.DOTALL)
_SAID = re.compile(r"\{%.*?%\}|\{#.*?#\}|\s+|((?:\{\{.*?\}\}|(?!\{[%#])\S)+)", re.DOTALL)


class UnknownPicture(Rule):
    """there is no picture {name}

    Pictures lie beside the templates, as PNG, JPEG or GIF: `mms_image` and `chat_image` say
    `seven-days/entrance.png` for `templates/seven-days/entrance.png`. Names that a template puts
    together are not looked at.
    """

    runs_anyway = True

    def check(self, draft: Draft) -> Iterator[Finding]:
        for paths in draft.template_files.values():
            for path in paths.values():
                for name, mark in _named(draft, path):
                    if name not in draft.pictures and f"templates/{name}" not in draft.unread:
                        hint = did_you_mean(name, draft.pictures, f"put it at templates/{name}")
                        yield self.at(mark, hint, name=name)


def _named(draft: Draft, path: str) -> Iterator[tuple[str, Mark]]:
    """Each picture that the file names outright, and where."""
    text = draft.files[path]
    for block in _IMAGE.finditer(text):
        for word in _SAID.finditer(text, block.start(1), block.end(1)):
            name = word[1] or ""
            if name.lower().endswith(SUFFIXES) and "{{" not in name and "://" not in name:
                start = word.start()
                line = text.count("\n", 0, start) + 1
                yield name, Mark(path, line, start - text.rfind("\n", 0, start))
