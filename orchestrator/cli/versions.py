"""Another version of a project: a folder, or a git revision of this one."""

from __future__ import annotations

import io
import subprocess
import tarfile
import tempfile
from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct

from orchestrator.core.errors import OutreachError
from orchestrator.project import source


class Version(Struct, frozen=True):
    """A project's files, and what to call it."""

    name: str
    files: Mapping[str, str]


def revision(folder: Path, wanted: str) -> Version:
    """The project in the folder `wanted`, or, if there is none, `folder` as it was at that git
    revision. Raises OutreachError."""
    other = Path(wanted)
    if other.is_dir():
        return Version(wanted, source.read_folder(other))
    if wanted.startswith("-"):
        raise OutreachError(f"{wanted} is no revision", "write a folder, a branch, tag or commit")
    git = ("git", "-C", str(folder))
    try:
        subprocess.run(
            [*git, "rev-parse", "--verify", "--quiet", f"{wanted}^{{commit}}"],
            check=True,
            capture_output=True,
        )
        kept = subprocess.run(
            [*git, "archive", "--format=tar", wanted], check=True, capture_output=True
        )
    except FileNotFoundError:
        raise OutreachError("there is no git here", "name a folder instead") from None
    except subprocess.CalledProcessError as error:
        said = error.stderr.decode(errors="replace").strip().splitlines()
        raise OutreachError(
            f"{wanted} is neither a folder nor a git revision of {folder}"
            + (f": {said[-1]}" if said else ""),
            "write a folder, or a branch, tag or commit: --against main",
        ) from None
    with tempfile.TemporaryDirectory() as place:
        with tarfile.open(fileobj=io.BytesIO(kept.stdout)) as archive:
            # Before Python 3.11.4 there are no filters; git archives nothing that they would stop.
            archive.extraction_filter = getattr(tarfile, "data_filter", lambda member, _: member)
            archive.extractall(place)
        return Version(wanted, source.read_folder(Path(place)))
