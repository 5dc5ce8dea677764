"""How commands that need no installation take the project's folder. Quick to load, as they are."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

AlsoProjectOption = Annotated[
    Path | None,
    typer.Option(
        "--project", "-p", metavar="DIR", help="The same as the argument.", show_default=False
    ),
]
"""For commands whose argument is the folder: they understand what all others do."""
