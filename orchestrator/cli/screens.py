"""Messages as phones show them, drawn in a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from rich.cells import cell_len, set_cell_size
from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from orchestrator.core.model import Content
from orchestrator.project.findings import Finding
from orchestrator.project.preview import Preview, Shown, Sms

SMALL_COLUMNS, SMALL_ROWS = 16, 5
"""The screen of a small phone: 16 letters in 5 lines, or half as many Chinese ones."""
WIDTH = 40
_INSTEAD = {"": "nothing", " ": "a space"}

_NAMES = {
    "sms": "SMS",
    "mms": "MMS",
    "wap_push": "WAP push",
    "chat": "chat",
    "desk": "read by a colleague",
}


def show(preview: Preview, console: Console) -> None:
    """The message is printed, as wide as the console is."""
    sent = f", sent by {', '.join(preview.journeys)}" if preview.journeys else ""
    console.print(Text.assemble((preview.message, "bold"), sent))
    for locale in preview.locales:
        console.print()
        named = locale or "every locale"
        if (written := preview.written.get(locale)) is not None:
            named += f", written in {written}"
        console.print(Rule(Text(named, "bold"), align="left", style="dim"))
        for number, example in enumerate(preview.examples[locale]):
            cells = [
                it
                for word in preview.channels
                for it in preview.shown
                if (it.channel, it.locale, it.example) == (word, locale, example.name)
            ]
            if number:
                console.print()
            console.print(Text(_about(example.name), "italic"))
            boxes = [box for cell in cells for box in _boxes(cell, preview.currency)]
            for row in _side_by_side(boxes, console.width):
                console.print(row)
    if preview.findings:
        console.print()
    for found in preview.findings:
        console.print(_finding(found), soft_wrap=True)


def small_screen(text: str) -> tuple[list[str], int]:
    """What a small phone shows at once, and how many lines are below it."""
    lines = [row for line in text.split("\n") for row in _rows(line, SMALL_COLUMNS)]
    return lines[:SMALL_ROWS], max(0, len(lines) - SMALL_ROWS)


def _side_by_side(boxes: Iterable[Panel], width: int) -> Iterator[RenderableType]:
    """Rows of as many boxes as fit."""
    row: list[Panel] = []
    for box in boxes:
        if row and sum(1 + (it.width or 0) for it in [*row, box]) > width + 1:
            yield _row(row)
            row = []
        row.append(box)
    if row:
        yield _row(row)


def _row(boxes: Sequence[Panel]) -> Table:
    table = Table.grid(padding=(0, 1, 0, 0))
    table.add_row(*boxes)
    return table


def _about(example: str) -> str:
    said = {
        "usual": "usual values",
        "long": "long values",
        "lacking": "somebody of whom nothing is known",
    }
    return f"{said.get(example, example)}:"


def _boxes(cell: Shown, currency: str) -> Iterator[Panel]:
    name = _NAMES.get(cell.channel, cell.channel)
    if cell.trouble is not None:
        said = Text.assemble(("not sent: ", "bold red"), cell.trouble.message)
        parts = [said, Text(cell.trouble.where, "dim"), Text(cell.trouble.hint, "green")]
        yield _box(name, [it for it in parts if it.plain], "red")
        return
    if cell.content is None:
        return
    price = (
        "" if cell.price is None else f"{cell.price} {currency}".strip() if cell.price else "free"
    )
    facts = [*_facts(cell, price)]
    yield _box(name, [*_said(cell, cell.content), *([Text(""), *facts] if facts else [])])
    if cell.sms is not None:
        words = cell.content.text
        shown, below = small_screen(words)
        more = Text(f"▼ {below} more line{'s' * (below > 1)}" if below else " ", "dim")
        lines = Group(*(Text(line) for line in shown), more)
        yield Panel(lines, title="small phone", width=SMALL_COLUMNS + 4, border_style="dim")


def _box(name: str, parts: Sequence[Text], style: str = "") -> Panel:
    for part in parts:
        part.overflow = "fold"  # Chinese has no spaces to break at
    return Panel(Group(*parts), title=name, width=WIDTH, border_style=style or "none")


def _said(cell: Shown, content: Content) -> Iterator[Text]:
    if content.image:
        yield Text(f"▦ {content.image}", "magenta")
        if (picture := cell.picture) is not None:
            size = f"{picture.width}×{picture.height}, {_size(picture.size)}"
            yield Text(f"  {picture.mime.removeprefix('image/').upper()} {size}", "dim")
    if content.subject:
        yield Text(content.subject, "bold")
    if cell.sms is not None:
        yield from _in_parts(cell.sms)
    elif content.text:
        yield Text(content.text)
    if content.href:
        yield Text(f"→ {content.href}", "underline cyan")
    if content.action:
        yield Text(f"action: {content.action}", "dim")
    for button in content.buttons:
        yield Text.assemble((f"[ {button.label} ]", "bold cyan"), (f" says {button.reply}", "dim"))


def _in_parts(sms: Sms) -> Iterator[Text]:
    for number, part in enumerate(sms.parts, 1):
        if number > 1:
            yield Text(f"┄┄┄┄┄┄ part {number} of {len(sms.parts)} ┄┄┄┄┄┄", "yellow")
        yield Text(part)


def _facts(cell: Shown, price: str) -> Iterator[Text]:
    facts: list[str] = []
    if (sms := cell.sms) is not None:
        parts = f"{len(sms.parts)} part{'s' * (len(sms.parts) > 1)}"
        facts += [sms.encoding, parts, f"{sms.left} left"]
    if cell.octets:
        facts.append(_size(cell.octets))
    if cell.messages:
        facts.append(f"{cell.messages} SMS")
    if facts or price:
        yield Text(" · ".join([*facts, *([price] if price else [])]), "dim")
    if sms is not None and sms.forced:
        yield from _forced(sms)


def _forced(sms: Sms) -> Iterator[Text]:
    """Why it is UCS-2, and what would save parts."""
    letters = " ".join(_letter(it.letter) for it in sms.forced)
    more = f" and {sms.forced_count - len(sms.forced)} more" * (sms.forced_count > len(sms.forced))
    yield Text(f"UCS-2 because of {letters}{more}", "dim")
    if sms.parts_without:
        swaps = ", ".join(
            f"{_INSTEAD.get(it.instead, it.instead)} for {_letter(it.letter)}"
            for it in sms.forced
            if it.instead is not None
        )
        fewer = f": {sms.parts_without} instead of {len(sms.parts)} parts"
        yield Text(f"write {swaps}{fewer * (sms.parts_without < len(sms.parts))}", "green")


def _letter(letter: str) -> str:
    """Itself, if it can be seen."""
    seen = letter.isprintable() and not letter.isspace()
    return letter if seen else f"U+{ord(letter):04X}"


def _size(octets: int) -> str:
    return f"{octets} octets" if octets < 1024 else f"{octets / 1024:.1f} KiB"


def _rows(line: str, width: int) -> Iterator[str]:
    """The line in rows of at most so many columns, cut where it must be, as old phones do."""
    row = ""
    for letter in line:
        if cell_len(row + letter) > width:
            yield set_cell_size(row, width).rstrip()
            row = ""
        row += letter
    yield row


def _finding(found: Finding) -> Text:
    mark = found.mark
    colour = "red" if found.severity == "error" else "yellow"
    return Text.assemble(
        (f"{mark.file}:{mark.line}: ", "bold"),
        (f"{found.severity}: ", f"bold {colour}"),
        found.message,
        (f" ({found.hint})" if found.hint else "", "green"),
    )
