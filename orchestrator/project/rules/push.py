"""What pushes say is what phones know."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import get_args

from orchestrator.core.model import PushAction
from orchestrator.project.draft import Draft
from orchestrator.project.findings import Finding, Mark, did_you_mean
from orchestrator.project.rules.base import Rule

_ACTION = re.compile(r"\{%-?\s*block wap_push_action\b.*?%\}\s*(.*?)\s*\{%-?\s*endblock", re.DOTALL)


class UnknownAction(Rule):
    """no phone knows what to do with a push that says {said!r}

    `wap_push_action` says what a phone does with the push. What is no such word is refused when it
    is sent, and goes on to the next channel in `via`.
    """

    def check(self, draft: Draft) -> Iterator[Finding]:
        words = get_args(PushAction)
        for files in draft.template_files.values():
            for path in sorted(files.values()):
                text = draft.files[path]
                for found in _ACTION.finditer(text):
                    said, at = found[1], found.start(1)
                    if "{" not in said and said not in words:
                        line_begins = text.rfind("\n", 0, at)
                        mark = Mark(path, text.count("\n", 0, at) + 1, at - line_begins)
                        yield self.at(mark, did_you_mean(said, words), said=said)
