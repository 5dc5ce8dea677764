"""What people write instead of a condition, and what to tell them."""

from __future__ import annotations

from difflib import get_close_matches

SLIPS = {
    "=": "write == to compare",
    "!": "write not, or != to compare",
    "&": "write and",
    "|": "write or; one | goes before a filter: subscriber.name|lower",
    "<>": "write !=",
    "AND": "write and",
    "OR": "write or",
    "NOT": "write not",
    "null": "write none",
    "yes": "write true",
    "no": "write false",
    "{": "write it without {{ }}",
    "{{": "write it without {{ }}",
    "?": "write a if condition else b",
    "'": "a text begins and ends with the same quotation mark",
    '"': "a text begins and ends with the same quotation mark",
}
FUNCTIONS = {
    "in_list": "write in_list('prospects') for the subscriber, in_list('prospects', event.peer)"
    " for somebody else",
    "in_area": "write in_area('campus', event.cell), or in_area('campus') for where they are now",
}
"""What can be called, and how."""

LISTED = "write event.peer in list('prospects')"
SUMS = "only numbers can be calculated with: usage.mb_7d / 7 > 100"
FORM = "write a condition like: subscriber.network in ['3g', '4g'] and usage.mb_7d >= 30"


def meant(word: str, known: tuple[str, ...]) -> str:
    close = get_close_matches(word, known, 1)
    return f"did you mean {close[0]}?" if close else ""
