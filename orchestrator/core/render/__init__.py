"""Messages: one Jinja file per locale with a block per channel, rendered to `Content`.

A template can say what it is given and nothing else: there are no calls but `link(url)`, no
macros, no other files, only the filters and tests of `filters`. What is missing cannot be said
unless `|default(…)` says what to write instead: a half-empty text must not go out. Time, memory
and output are bounded (`bounds`): what goes over them fails alone, within milliseconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Any

from jinja2 import Template, TemplateRuntimeError
from jinja2.runtime import Context

from orchestrator.core.errors import RenderError
from orchestrator.core.expression.scope import asks_of_use
from orchestrator.core.model import Button, Content, word_of
from orchestrator.core.render.bounds import made, refill
from orchestrator.core.render.filters import FILTERS
from orchestrator.core.render.grammar import BLOCKS, TemplateError
from orchestrator.core.render.sandbox import Outline, compiled, outlined

__all__ = ["BLOCKS", "FILTERS", "MessageTemplate", "TemplateError", "compile_message"]

_FIELDS: Mapping[str, Mapping[str, str]] = {
    "sms": {"text": "sms"},
    "chat": {"text": "chat", "image": "chat_image", "buttons": "chat_buttons"},
    "mms": {"subject": "mms_subject", "text": "mms_text", "image": "mms_image"},
    "desk": {"text": "script"},
    "wap_push": {"text": "wap_push_text", "href": "wap_push_href", "action": "wap_push_action"},
}
"""Per channel word: which field of the content each block fills."""

_MUST: Mapping[str, tuple[str, ...]] = {"mms": ("text", "image"), "wap_push": ("text", "href")}
"""Fields that may not come out empty if their block is there; else the text."""

_NEEDS: Mapping[str, tuple[str, ...]] = {
    "chat_buttons": ("chat",),
    "chat_image": ("chat",),
    "mms_subject": ("mms_text", "mms_image"),
    "wap_push_text": ("wap_push_href",),
    "wap_push_href": ("wap_push_text",),
    "wap_push_action": ("wap_push_text", "wap_push_href"),
}
"""Blocks that make no sense without one of these."""


class MessageTemplate:
    """All wordings of one message, by locale. Made by `compile_message`."""

    def __init__(self, name: str, wordings: Mapping[str, Wording], default_locale: str) -> None:
        self.name = name
        self.locales = tuple(wordings)
        self._wordings = {_folded(locale): wording for locale, wording in wordings.items()}
        self._default_locale = default_locale
        self._chosen: dict[str, Wording] = {}
        self.of_use = asks_of_use(self.names())
        """Whether it asks about what was counted."""

    def channels(self, locale: str) -> tuple[str, ...]:
        """The channel words (`sms`, `chat`, `mms`, `wap_push`, `desk`) it has a wording for."""
        return self._wording(locale).channels

    def names(self) -> frozenset[str]:
        """Every dotted name that its wordings take from outside, e.g. `subscriber.name`."""
        return frozenset().union(*(wording.names for wording in self._wordings.values()))

    def ready(self) -> None:
        """Every wording is compiled, so that the first to be written to waits no longer than the
        others."""
        for wording in self._wordings.values():
            wording.ready()

    def render(self, word: str, locale: str, variables: Mapping[str, Any]) -> Content:
        """The words for one channel: `sms`, `chat` (or a chat channel), `mms`, `wap_push`.
        `variables` are those of `subscriber_scope`, `event`, and perhaps `link`, a function from
        one address to another. RenderError says where and why it failed."""
        return self._wording(locale).render(word_of(word), variables)

    def _wording(self, locale: str) -> Wording:
        if (found := self._chosen.get(locale)) is None:
            candidates = (*_fallbacks(locale), *_fallbacks(self._default_locale), "")
            found = next(self._wordings[c] for c in candidates if c in self._wordings)
            if len(self._chosen) < 1000:  # locales come from outside: no list without an end
                self._chosen[locale] = found
        return found


class Wording:
    """One message in one locale: what one file says."""

    def __init__(self, outline: Outline, source: str) -> None:
        self.names = outline.names
        self._file = outline.file
        self._source = source
        self.channels = tuple(
            word
            for word, fields in _FIELDS.items()
            if any(block in outline.blocks for block in fields.values())
        )
        self._compiled: tuple[Template, Mapping[str, Any], Context] | None = None

    def ready(self) -> tuple[Template, Mapping[str, Any], Context]:
        """The template, its blocks, and a context for them: compiled once, when first needed.
        Nothing in a context but its variables differs between renderings: see `_Context`."""
        if self._compiled is None:
            template = compiled(self._file, self._source)
            self._compiled = template, template.blocks, template.new_context({}, shared=True)
        return self._compiled

    def render(self, word: str, variables: Mapping[str, Any]) -> Content:
        """The words for a channel word."""
        if word not in self.channels:
            raise RenderError(
                f"{self._file} has no wording for {word}", f"it has: {', '.join(self.channels)}"
            )
        _, blocks, context = self.ready()
        refill()
        said = {
            field: self._say(blocks[block], context, variables)
            for field, block in _FIELDS[word].items()
            if block in blocks
        }
        buttons = said.pop("buttons", "")
        for field in _MUST.get(word, ("text",)):
            if field in said and not said[field]:
                raise RenderError(
                    f"{self._file}: {_FIELDS[word][field]} comes out empty",
                    "a message without words is not sent: say something in every case",
                )
        shown = self._buttons(buttons) if buttons else ()
        return Content(buttons=shown, links=(), **said)

    def _say(self, block: Any, context: Context, variables: Mapping[str, Any]) -> str:
        try:
            said = "".join(block(_Context(context, variables))).strip()
            return made(said)
        except RenderError as failure:
            where = f"{self._file}:{self._line(failure.__traceback__)}"
            raise RenderError(f"{where}: {failure.message}", failure.hint) from None
        except Exception as failure:
            where = f"{self._file}:{self._line(failure.__traceback__)}"
            reason = failure.message if isinstance(failure, TemplateRuntimeError) else None
            raise RenderError(
                f"{where}: {reason or 'values of these kinds cannot be compared'}",
                "compare numbers with numbers and texts with texts; |default(…) fills in",
            ) from None

    def _line(self, traceback: TracebackType | None) -> int:
        line = 1
        while traceback is not None:
            if traceback.tb_frame.f_code.co_filename == self._file:
                line = self.ready()[0].get_corresponding_lineno(traceback.tb_lineno)
            traceback = traceback.tb_next
        return line

    def _buttons(self, text: str) -> tuple[Button, ...]:
        buttons = []
        for part in text.replace("\n", "|").split("|"):
            label, separator, reply = part.partition("=")
            if not part.strip():
                continue
            label, reply = label.strip(), reply.strip() if separator else label.strip()
            if not label or not reply:
                raise RenderError(
                    f"{self._file}: a button lacks its label or its reply",
                    "write label=reply | label=reply",
                )
            buttons.append(Button(label, reply))
        return tuple(buttons)


class _Context(Context):
    """A context that costs a tenth of Jinja's own: what is the same each time is shared. Blocks
    write nothing to it, as the grammar lets them contain no blocks, imports or macros."""

    def __init__(self, like: Context, variables: Mapping[str, Any]) -> None:
        self.environment = like.environment
        self.eval_ctx = like.eval_ctx
        self.exported_vars = like.exported_vars
        self.name = like.name
        self.blocks = like.blocks
        self.globals_keys = like.globals_keys
        self.vars = like.vars
        self.parent = variables  # type: ignore[assignment]  # only ever looked up


def compile_message(name: str, files: Mapping[str, str], default_locale: str) -> MessageTemplate:
    """The message whose files (locale → text; '' for a file without a locale) say this;
    TemplateError with file and line. `name` is like `seven-days/entrance`."""
    wordings: dict[str, Wording] = {}
    for locale, source in files.items():
        file = f"{name}.{locale}.j2" if locale else f"{name}.j2"
        outline = outlined(file, source)
        _check_blocks(outline)
        wordings[locale] = Wording(outline, source)
    known = {_folded(locale) for locale in wordings}
    if not known & {*_fallbacks(default_locale), ""}:
        raise TemplateError(
            f"{name} has no wording in {default_locale}, the project's own locale",
            f"write {name}.{default_locale}.j2: who speaks nothing else gets that",
            f"{name}.{default_locale}.j2",
            1,
        )
    return MessageTemplate(name, wordings, default_locale)


def _check_blocks(outline: Outline) -> None:
    blocks = outline.blocks
    if not blocks:
        raise TemplateError(
            "the message says nothing", "write {% block sms %}…{% endblock %}", outline.file, 1
        )
    for block, needed in _NEEDS.items():
        if block in blocks and not any(other in blocks for other in needed):
            raise TemplateError(
                f"{block} needs {' or '.join(needed)} beside it",
                f"write {{% block {needed[0]} %}}…{{% endblock %}}",
                outline.file,
                1,
            )


def _folded(locale: str) -> str:
    return locale.replace("_", "-").lower()


def _fallbacks(locale: str) -> list[str]:
    """zh-Hans-CN, zh-Hans, zh; folded."""
    parts = _folded(locale).split("-")
    return ["-".join(parts[:end]) for end in range(len(parts), 0, -1)]
