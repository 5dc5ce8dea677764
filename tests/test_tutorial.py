"""The tutorial for authors is true: every file, edit, command and output, in order, for real."""

from __future__ import annotations

import asyncio
import json
import re
import shlex
import shutil
import subprocess
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import aiohttp
import pytest

from orchestrator.project import shipped
from tests.cli import forked
from tests.cli.shell import Up, clean_env, eventually, running_up

PAGE = Path(__file__).parent.parent / "docs/authors.md"

_BLOCK = re.compile(r"^```(\S+)(?: (\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_PHONE = re.compile(r'<!-- on the phone of (\S+): "(.*?)", answer "(.*?)" -->')
_MAY_NEED_A_MOMENT = ("outreach show", "outreach explain")


class Part(NamedTuple):
    """One thing that the reader does: `what` is the language of its block, or `phone`."""

    what: str
    place: str
    text: str


def parts(page: str) -> list[Part]:
    """All that the tutorial has its reader do, in order."""
    tutorial = page[page.index("\n## Ten minutes\n") : page.index("\n## In your editor\n")]
    found = [(it.start(), Part(it[1], it[2] or "", it[3])) for it in _BLOCK.finditer(tutorial)]
    found += [
        (it.start(), Part("phone", it[1], f"{it[2]}\n{it[3]}")) for it in _PHONE.finditer(tutorial)
    ]
    return [part for _, part in sorted(found)]


def commands(session: str) -> Iterator[tuple[str, str]]:
    """Each command of a console, with what is shown below it."""
    for piece in re.split(r"^\$ ", session, flags=re.MULTILINE)[1:]:
        command, _, shown = piece.partition("\n")
        yield command, shown


def pattern(shown: str) -> str:
    """What output must be: a line that is only `…` is any lines, `…` in a line is anything."""
    lines = (
        r"(?:.*\n)*?" if line == "…" else re.escape(line).replace("…", ".*?") + r" *\n"
        for line in shown.splitlines()
    )
    return "".join(lines)


def changed(text: str, diff: str) -> str:
    """The text after an edit: lines with `-` have become those with `+`, between the others. The
    first may be only the end of its line, the last only the beginning."""
    lines = diff.splitlines()
    before = "\n".join(line[1:] for line in lines if not line.startswith("+"))
    after = "\n".join(line[1:] for line in lines if not line.startswith("-"))
    assert text.count(before) == 1, f"not once in the file: {before}"
    return text.replace(before, after)


async def answer_on_phone(wall: str, number: str, shows: str, say: str) -> None:
    """The phone shows these words, and its owner has answered."""
    digits = number.removeprefix("+")
    async with (
        asyncio.timeout(60),
        aiohttp.ClientSession() as session,
        session.ws_connect(f"{wall}/wall/socket") as socket,
    ):
        while shows not in str(_lines(json.loads(await socket.receive_str()), digits)):
            pass
        await socket.send_json({"type": "say", "number": digits, "text": say})
        while say not in str(_lines(json.loads(await socket.receive_str()), digits)):
            pass


def _lines(frame: Mapping[str, list[dict[str, object]]], digits: str) -> list[object]:
    return [phone["lines"] for phone in frame.get("phones", []) if phone["number"] == digits]


class Reader:
    """Somebody who does what the page says, in a home of their own."""

    def __init__(self, home: Path, servers: Mapping[str, str], ending: ExitStack) -> None:
        self.folder = home
        self._servers = servers
        self._ending = ending
        self._env = clean_env(**servers, HOME=str(home), COLUMNS="80")
        self._up: Up | None = None

    def do(self, part: Part) -> None:
        if part.what == "console":
            for command, shown in commands(part.text):
                self._run(command, shown)
        elif part.what == "phone":
            assert self._up is not None
            shows, say = part.text.split("\n")
            asyncio.run(answer_on_phone(self._up.place("phones"), part.place, shows, say))
        elif part.what == "diff":
            file = self.folder / part.place
            file.write_text(changed(file.read_text(), part.text))
        else:
            file = self.folder / part.place
            file.parent.mkdir(exist_ok=True)
            file.write_text(part.text)

    def _run(self, command: str, shown: str) -> None:
        if command.startswith("cd "):
            self.folder /= command.removeprefix("cd ")
        elif command == "outreach up":
            self._up = self._ending.enter_context(running_up(self.folder, **self._servers))
            agree(command, shown, without_logs(self._up.lines))
        elif command.startswith(_MAY_NEED_A_MOMENT):
            wait_to_agree(command, shown, lambda: self._output(command))
        else:
            agree(command, shown, self._output(command))

    def _output(self, command: str) -> str:
        words = shlex.split(command)
        if words[0] == "outreach":
            return forked.run(words[1:], self._env, self.folder, apart=False).stdout
        done = subprocess.run(
            ["sh", "-c", command],
            cwd=self.folder,
            env=self._env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
            check=False,
        )
        return done.stdout


def without_logs(lines: Iterable[str]) -> str:
    """What was written, but for the log of its processes, which comes whenever it comes."""
    return "".join(f"{line}\n" for line in lines if " | at=" not in line)


def agree(command: str, shown: str, output: str) -> None:
    assert re.fullmatch(pattern(shown), output), f"$ {command}\n{output}\nthe page shows:\n{shown}"


def wait_to_agree(command: str, shown: str, look: Callable[[], str]) -> None:
    """The output has become what is shown: what was reported before may still be on its way."""
    seen = [""]

    def agrees() -> bool:
        seen[0] = look()
        return re.fullmatch(pattern(shown), seen[0]) is not None

    try:
        eventually(agrees, 60)
    except AssertionError:
        agree(command, shown, seen[0])


def test_the_tutorial_is_true(database_url: str, redis_url: str, tmp_path: Path) -> None:
    picture = shipped.programme_folder() / "templates/seven-days/gift.png"
    shutil.copy(picture, tmp_path / "coffee.png")
    servers = {
        "DATABASE_URL": database_url,
        "REDIS_URL": redis_url,
        "OUTREACH_SECRET": "the secret of this test only",
    }
    with ExitStack() as ending:
        reader = Reader(tmp_path, servers, ending)
        for part in parts(PAGE.read_text(encoding="utf-8")):
            reader.do(part)


@pytest.mark.parametrize(
    ("shown", "output", "fits"),
    [
        ("a\n…\nd\n", "a\nb\nc\nd\n", True),
        ("a\n…\nd\n", "a\nd\n", True),
        ("a …, b\n", "a 12, b\n", True),
        ("a …, b\n", "a 12\n, b\n", False),
        ("a\n", "a\nb\n", False),
        ("…\nb\n", "a\n", False),
    ],
)
def test_what_differs_is_all_that_may_differ(shown: str, output: str, fits: bool) -> None:
    assert bool(re.fullmatch(pattern(shown), output)) is fits
