"""A project's schemas, kept in step with it by the commands that read it."""

from __future__ import annotations

from pathlib import Path

from orchestrator.project import editor
from orchestrator.project.draft import Draft

IGNORED = {".gitignore": "*\n"}
"""Git does not see the schemas: everybody's are their own."""


def refresh(folder: Path, draft: Draft) -> None:
    """The schemas know the project as it is, if an editor looks for them. Those of channels.yaml,
    which are not of the project and take a second, are written only if they are not there."""
    target = folder / editor.FOLDER
    if not target.is_dir() and not editor.is_wired(draft.files.values()):
        return
    files = {**editor.written(draft), **IGNORED}
    known = (target / f"{editor.CHANNELS}.json").exists()
    if not known and (folder / f"{editor.CHANNELS}.yaml").exists():
        files |= channels()
    editor.write(target, files)


def channels() -> dict[str, str]:
    """The schema of channels.yaml as a file, by name. It takes a second."""
    from orchestrator.runtime.channel_schema import channel_schema

    return {f"{editor.CHANNELS}.json": editor.encoded(channel_schema())}
