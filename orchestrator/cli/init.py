"""`outreach init`: a project to begin with."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from orchestrator.core.errors import OutreachError
from orchestrator.project import shipped

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
    files = {**shipped.starter(name), **shipped.starter_tests(name), "people.csv": PEOPLE}
    try:
        for name, text in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise OutreachError(f"cannot write {folder}: {error.strerror}") from None
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
