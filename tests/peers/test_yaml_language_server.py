"""Our schemas in the YAML language server, which VS Code's YAML extension and other editors run:
what is underlined, offered and explained. It has a parser and a validator of its own."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from zlib import crc32

import pytest
import pytest_asyncio

from orchestrator.core.model import CHANNEL_WORDS
from orchestrator.core.steps import STEP_TYPES
from orchestrator.project import editor as editing
from orchestrator.project import shipped, source
from orchestrator.project.load import read
from orchestrator.runtime.channel_schema import channel_schema
from tests.peers.language_server import Editor, editor
from tests.peers.node import HERE, require_packages
from tests.project.core_yaml import core

together = pytest.mark.asyncio(loop_scope="module")
"""One server for all."""

PROGRAMME = {**shipped.programme(), **source.read_tests(shipped.programme_folder())}
STARTER = {**shipped.starter(), **shipped.starter_tests()}
BAD = HERE.parent / "project/bad"
HEAD = "journey: new\nclass: care\nenter: [{on: data.used}]\n"


def made(folder: Path, files: dict[str, str]) -> Path:
    """The project stands in the folder, and is wired for an editor."""
    texts = {path: editing.with_line(path, text) for path, text in files.items()}
    editing.write(folder, texts)
    own = {path: text for path, text in texts.items() if not path.endswith(source.TESTS)}
    schemas = editing.written(read(own))
    channels = {f"{editing.CHANNELS}.json": editing.encoded(channel_schema())}
    editing.write(folder / editing.FOLDER, {**schemas, **channels})
    return folder


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def opened(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Editor, Path]]:
    """An editor with the programme open, and the starter beside it, in a folder within."""
    folder = made(tmp_path_factory.mktemp("opened"), PROGRAMME)
    made(folder / "shop", STARTER)
    settings = json.loads(editing.vs_code()[".vscode/settings.json"])
    async with editor(folder, {"schemas": settings["yaml.schemas"]}) as it:
        yield it, folder


@together
async def test_nothing_that_comes_with_us_is_underlined(opened: tuple[Editor, Path]) -> None:
    it, folder = opened
    texts = {path: path.read_text("utf-8") for path in folder.rglob("journeys/**/*.yaml")}
    assert len(texts) > 15
    found = await asyncio.gather(*(it.problems(path, text) for path, text in texts.items()))
    assert {path.name: told for path, told in zip(texts, found, strict=True) if told} == {}


@together
async def test_mistakes_of_form_are_underlined_where_they_stand(
    opened: tuple[Editor, Path],
) -> None:
    it, folder = opened
    path = folder / "journeys/bad.yaml"
    text = (BAD / "form-all-at-once.yaml").read_text("utf-8")
    told = await it.problems(path, editing.line("journeys/bad.yaml") + text)
    lines = {int(problem.partition(":")[0]) - 1 for problem in told}
    expected = {int(line) for line in re.findall(r"^# expect: form (\d+)", text, re.MULTILINE)}
    # A condition has a grammar of its own; of two words in one step, they underline the other.
    assert expected - lines == {19, 32}
    assert 31 in lines
    assert any("write the day of the journey, from 1" in problem for problem in told)


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        ("- {id: a, sned: hello}", 'Missing property "send".'),
        ("- {id: a, send: hello, vai: [sms]}", "Property vai is not allowed."),
        ("- {id: a, send: hello, via: [smss]}", "Value is not accepted."),
        ("- {id: a, wait: tomorrow}", "write `until 10:00` or `until monday 10:00`"),
        ("- {id: a, award: lots, for: x}", 'Incorrect type. Expected "integer".'),
        ("- {id: a, send: hello, wait: 3d}", "Property wait is not allowed."),
    ],
)
@together
async def test_a_slip_is_told_in_words(opened: tuple[Editor, Path], steps: str, said: str) -> None:
    it, folder = opened
    text = f"{editing.line('journeys/x.yaml')}{HEAD}steps:\n  {steps}\n"
    path = folder / f"journeys/slip-{crc32(steps.encode())}.yaml"
    assert said in (await it.problems(path, text))[0]


async def offered(
    opened: tuple[Editor, Path], text: str, path: str = "journeys/new.yaml"
) -> set[str]:
    it, folder = opened
    return {*await it.offered(folder / path, editing.line(path) + text)}


@together
async def test_the_keys_of_a_journey_are_offered(opened: tuple[Editor, Path]) -> None:
    keys = await offered(opened, "journey: new\n|\n")
    assert {"class", "enter", "again", "control", "goal", "leave", "pace", "steps"} <= keys


@together
async def test_every_step_is_offered(opened: tuple[Editor, Path]) -> None:
    assert await offered(opened, HEAD + "steps:\n  - |\n") >= {*STEP_TYPES, "id", "at"}


@together
async def test_a_step_that_was_begun_is_offered_its_own_keys_only(
    opened: tuple[Editor, Path],
) -> None:
    keys = await offered(opened, HEAD + "steps:\n  - id: a\n    send: lifecycle/welcome\n    |\n")
    assert keys == {"at", "via"}


@together
async def test_a_step_within_a_branch_is_offered_like_any_other(
    opened: tuple[Editor, Path],
) -> None:
    text = HEAD + "steps:\n  - id: a\n    when:\n      - if: points.balance > 3\n        do:\n"
    assert await offered(opened, text + "          - |\n") >= {*STEP_TYPES}


@together
async def test_the_messages_of_this_project_are_offered(opened: tuple[Editor, Path]) -> None:
    text = HEAD + "steps:\n  - id: a\n    send: seven-days/en|\n"
    names = await offered(opened, text)
    assert {"seven-days/entrance", "lifecycle/welcome"} <= names
    assert "hello/welcome" not in names


@together
async def test_a_project_in_a_folder_below_is_offered_its_own_names(
    opened: tuple[Editor, Path],
) -> None:
    it, folder = opened
    text = editing.line("journeys/x.yaml") + HEAD + "steps:\n  - id: a\n    send: |\n"
    names = {*await it.offered(folder / "shop/journeys/new.yaml", text)}
    assert "hello/welcome" in names
    assert "seven-days/entrance" not in names


@together
async def test_what_is_offered_takes_the_place_of_what_was_begun(
    opened: tuple[Editor, Path],
) -> None:
    it, folder = opened
    text = (
        editing.line("journeys/new.yaml") + HEAD + "steps:\n  - id: a\n    send: seven-days/en|\n"
    )
    item = (await it.offered(folder / "journeys/new.yaml", text))["seven-days/entrance"]
    edit = item["textEdit"]
    assert edit["newText"] == "seven-days/entrance"
    assert edit["range"]["start"]["character"] == len("    send: ")
    assert edit["range"]["end"]["character"] == len("    send: seven-days/en")


@pytest.mark.parametrize("path", ["journeys/new.yaml", "journeys/summer/sale/new.yaml"])
@together
async def test_segments_classes_journeys_and_events_of_this_project_are_offered(
    opened: tuple[Editor, Path], path: str
) -> None:
    assert "zero-use" in await offered(opened, "journey: n\nenter:\n  - segment: |\n", path)
    assert "onboarding" in await offered(opened, "journey: n\nclass: |\n", path)
    assert "data.used" in await offered(opened, "journey: n\ngoal:\n  on: |\n", path)
    enroll = HEAD + "steps:\n  - id: a\n    enroll: |\n"
    assert "lifecycle-month-1" in await offered(opened, enroll, path)


@pytest.mark.parametrize("via", ["via: [|]", "via: [chat, s|]", "via:\n      - |"])
@together
async def test_the_channels_are_offered_and_nothing_else(
    opened: tuple[Editor, Path], via: str
) -> None:
    text = f"{HEAD}steps:\n  - id: a\n    send: lifecycle/welcome\n    {via}\n"
    assert await offered(opened, text) == {*CHANNEL_WORDS}


@together
async def test_values_that_have_a_form_are_offered_as_examples(
    opened: tuple[Editor, Path],
) -> None:
    offers = {"never", "always", "after 90d", "each month"}
    assert await offered(opened, "journey: n\nagain: |\n") == offers
    assert {"3d", "until monday 10:00"} <= await offered(
        opened, HEAD + "steps:\n  - id: a\n    wait: |\n"
    )


@together
async def test_the_rules_of_a_contact_class_are_offered(opened: tuple[Editor, Path]) -> None:
    path = "journeys/program/contact.yaml"
    keys = await offered(opened, "classes:\n  a:\n    |\n", path)
    assert {"purpose", "consent", "hours", "per_day", "not_on"} <= keys
    days = await offered(opened, "classes:\n  a:\n    weekdays: [|]\n", path)
    assert {"monday", "sunday"} <= days


@together
async def test_the_settings_of_a_channel_are_offered_by_its_kind(
    opened: tuple[Editor, Path],
) -> None:
    assert {"sms", "telegram"} <= await offered(opened, "|\n", "channels.yaml")
    kind = await offered(opened, "sms:\n  kind: cmpp\n  |\n", "channels.yaml")
    assert {"sp_id", "service_id"} <= kind
    assert "url" not in kind


async def hover(opened: tuple[Editor, Path], text: str) -> str:
    it, folder = opened
    return await it.hover(folder / "journeys/hover.yaml", editing.line("journeys/x.yaml") + text)


@together
async def test_a_key_is_explained_where_it_stands(opened: tuple[Editor, Path]) -> None:
    send = await hover(opened, HEAD + "steps:\n  - id: a\n    se|nd: lifecycle/welcome\n")
    assert "If the contact policy puts it off, the step waits" in send
    within = "steps:\n  - {id: a, ask: x, wit|hin: 3d, reply: [{is: yes, do: [{leave: a}]}]}\n"
    assert "When `within` has passed, `silence` is done." in await hover(opened, HEAD + within)
    assert "`3d`" in await hover(opened, HEAD + within)
    assert "If left out: `never`." in await hover(opened, "journey: n\naga|in: never\n")


@together
async def test_a_condition_is_told_what_this_project_knows(opened: tuple[Editor, Path]) -> None:
    said = await hover(opened, "journey: n\ngoal: {on: data.used, i|f: event.mb > 3}\n")
    assert "`usage.mb_7d`" in said
    assert "`subscriber.network`" in said


@together
async def test_a_file_without_the_line_has_its_schema_by_the_settings_of_vs_code(
    opened: tuple[Editor, Path],
) -> None:
    it, folder = opened
    bare = "steps:\n  - id: a\n    send: |\n"
    assert "seven-days/entrance" in await it.offered(folder / "journeys/bare.yaml", HEAD + bare)
    assert "seven-days/entrance" in await it.offered(folder / "journeys/a/b/bare.yaml", HEAD + bare)
    keys = await it.offered(folder / "journeys/bare.test.yaml", "tests:\n  - |\n")
    assert {"test", "who", "happens", "expect"} <= {*keys}
    path = folder / "journeys/program/contact.yaml"
    assert "senders" in await it.offered(path, "classes: {}\n|\n")
    assert "steps" not in await it.offered(path, "classes: {}\n|\n")


def test_our_reading_of_yaml_is_theirs() -> None:
    """`tests.project.core_yaml` says what the server's parser, npm `yaml`, says."""
    require_packages("yaml")
    odd = "[no, 0123, 12:30, 0x1F, 0o17, 1e3, +5, .5, ~, Null, True, on, 2026-01-01, 5%, -a]"
    texts = [*(text for path, text in {**PROGRAMME, **STARTER}.items() if "yaml" in path), odd]
    program = """
        const yaml = require('yaml');
        const texts = JSON.parse(require('fs').readFileSync(0, 'utf8'));
        const read = text => yaml.parse(text, {version: '1.2', schema: 'core'});
        console.log(JSON.stringify(texts.map(read)));
    """
    told = subprocess.run(
        ["node", "-e", program],
        input=json.dumps(texts),
        capture_output=True,
        text=True,
        cwd=HERE,
        timeout=60,
        check=True,
    )
    assert json.loads(told.stdout) == [core(text) for text in texts]
