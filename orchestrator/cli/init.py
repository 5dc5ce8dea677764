"""`outreach init`: a project to begin with."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from orchestrator.cli import editing
from orchestrator.core.errors import OutreachError
from orchestrator.project import editor, shipped
from orchestrator.project.load import read

# Numbers that Ofcom keeps for drama: nobody has them.
PEOPLE = """\
key,phone,name,timezone
ann,+447700900001,Ann,Europe/London
bob,+447700900002,Bob,Europe/London
"""


def init(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The folder to make.")],
) -> None:
    """Make a small project to begin with: one journey, its messages, its rules."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise OutreachError(f"{folder} is there already", "name a folder that is not, or is empty")
    name = folder.resolve().name
    texts = shipped.starter(name)
    files = {**texts, **shipped.starter_tests(name), "people.csv": PEOPLE}
    lined = {path: editor.with_line(path, text) for path, text in files.items()}
    editor.write(folder, {**lined, **editor.vs_code()})
    editing.refresh(folder, read({path: lined[path] for path in texts}))
    place = shlex.quote(str(folder))
    typer.echo(
        f"{folder} is a project now. Next:\n"
        f"  outreach validate {place}\n"
        f"  outreach test {place}\n"
        f"  outreach up --project {place}\n"
        "and then, in another terminal:\n"
        f"  outreach import {place}/people.csv --project {place}\n"
        f"  outreach event ann subscriber.activated --project {place}\n"
        f"  outreach show ann --project {place}"
    )
