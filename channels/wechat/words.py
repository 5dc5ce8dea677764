"""A message as an official account can send it: text, with lines that can be pressed."""

from __future__ import annotations

from urllib.parse import quote

from orchestrator.core.model import Content

MAX_OCTETS = 2048
"""Of a text, in UTF-8 (errcode 45002 beyond)."""


def said(content: Content) -> str:
    """The words. A button is a line that says its label, and brings its reply as `bizmsgmenuid`
    (WeChat, "Customer Service Messages", msgmenu)."""
    lines = [content.subject, content.text, content.href]
    lines += [
        f'<a href="weixin://bizmsgmenu?msgmenucontent={quote(it.label, errors="replace")}'
        f'&msgmenuid={quote(it.reply, errors="replace")}">{it.label}</a>'
        for it in content.buttons
    ]
    return "\n".join(line for line in lines if line).replace("\0", "")
