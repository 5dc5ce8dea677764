"""`outreach schema`, and what `init` and `validate` do for an editor."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import jsonschema_rs
import pytest
from typer.testing import CliRunner

from orchestrator.cli.main import build
from orchestrator.core.errors import OutreachError
from orchestrator.project import editor
from orchestrator.project.schema import FORMS
from orchestrator.runtime.channel_schema import channel_schema
from orchestrator.runtime.channels import NAMES
from tests.project.core_yaml import core

ROOT = Path(__file__).parents[2]
RUNNER = CliRunner()


def run(command: str, *arguments: str) -> tuple[int, str]:
    """The command's exit code, and what it says."""
    result = RUNNER.invoke(build([command, "demo"]), [command, *arguments])
    if isinstance(result.exception, OutreachError):
        return 1, f"{result.exception.message} ({result.exception.hint})"
    return result.exit_code, result.output


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    assert run("init", str(tmp_path / "shop"))[0] == 0
    return tmp_path / "shop"


def offered(shop: Path, name: str = "TemplateName") -> list[str]:
    """What an editor is told of the project's names."""
    told = json.loads((shop / editor.FOLDER / "journey.json").read_text("utf-8"))
    return [it["label"] for it in told["definitions"][name]["defaultSnippets"]]


def yaml_files(shop: Path) -> list[Path]:
    return sorted((shop / "journeys").rglob("*.yaml"))


def test_every_file_of_a_new_project_names_a_schema_that_is_there(shop: Path) -> None:
    for path in yaml_files(shop):
        first = path.read_text("utf-8").partition("\n")[0]
        named = first.removeprefix("# yaml-language-server: $schema=")
        assert named != first
        assert (path.parent / named).is_file()
    assert "hello/welcome" in offered(shop)


def test_vs_code_knows_the_schema_of_files_that_are_still_to_be_written(shop: Path) -> None:
    told = json.loads((shop / ".vscode/settings.json").read_text("utf-8"))["yaml.schemas"]
    assert {*told} == {
        *(f"{editor.FOLDER}/{name}.json" for name in FORMS),
        f"{editor.FOLDER}/channels.json",
    }


def test_git_does_not_see_the_schemas(shop: Path) -> None:
    assert (shop / editor.FOLDER / ".gitignore").read_text("utf-8") == "*\n"


def test_validate_keeps_the_schemas_in_step(shop: Path) -> None:
    (shop / "templates/hello/again.en.j2").write_text("{% block sms %}Hi, STOP{% endblock %}")
    assert "hello/again" not in offered(shop)
    assert run("validate", str(shop))[0] == 0
    assert "hello/again" in offered(shop)


def test_validate_keeps_them_in_step_with_a_project_that_has_errors(shop: Path) -> None:
    path = shop / "journeys/hello.yaml"
    path.write_text(path.read_text("utf-8") + "\nwhat: is this\n", "utf-8")
    (shop / "templates/hello/again.en.j2").write_text("{% block sms %}Hi, STOP{% endblock %}")
    assert run("validate", str(shop))[0] == 1
    assert "hello/again" in offered(shop)


def test_validate_brings_the_schemas_to_a_fresh_clone(shop: Path) -> None:
    shutil.rmtree(shop / ".outreach")
    assert run("validate", str(shop))[0] == 0
    assert "hello/welcome" in offered(shop)


def test_validate_writes_nothing_where_no_editor_looks_for_it(shop: Path) -> None:
    shutil.rmtree(shop / ".outreach")
    for path in yaml_files(shop):
        path.write_text(path.read_text("utf-8").partition("\n")[2], "utf-8")
    assert run("validate", str(shop))[0] == 0
    assert not (shop / ".outreach").exists()


def test_validate_does_not_mind_where_it_may_not_write(shop: Path) -> None:
    shutil.rmtree(shop / ".outreach")
    (shop / ".outreach").write_text("in the way")
    assert run("validate", str(shop))[0] == 0


def test_check_says_which_schemas_are_out_of_step(shop: Path) -> None:
    assert run("schema", "--project", str(shop))[0] == 0
    assert run("schema", "--project", str(shop), "--check")[0] == 0
    (shop / "templates/hello/again.en.j2").write_text("{% block sms %}Hi, STOP{% endblock %}")
    code, said = run("schema", "--project", str(shop), "--check")
    assert code == 1
    assert "out of step: audience.json, journey.json, tests.json (write them anew" in said
    assert "hello/again" not in offered(shop)


def test_schemas_may_lie_where_git_sees_them(shop: Path, tmp_path: Path) -> None:
    out = tmp_path / "schemas"
    assert run("schema", "--project", str(shop), "--out", str(out))[0] == 0
    assert {it.name for it in out.iterdir()} == {f"{name}.json" for name in (*FORMS, "channels")}


def test_nothing_is_written_twice(shop: Path) -> None:
    run("schema", "--project", str(shop))
    assert "0 of them new" in run("schema", "--project", str(shop))[1]


def test_files_that_name_no_schema_can_be_given_one(shop: Path) -> None:
    new = shop / "journeys/summer/sale.yaml"
    new.parent.mkdir()
    new.write_text("journey: sale\nclass: friendly\nsteps: []\n")
    other = shop / "journeys/other.yaml"
    other.write_text(
        "# yaml-language-server: $schema=https://schemas.example/own.json\njourney: o\n"
    )
    (shop / "channels.yaml").write_text("webchat: {}\n")
    run("schema", "--project", str(shop), "--modelines")
    assert new.read_text().startswith(
        "# yaml-language-server: $schema=../../.outreach/schema/journey.json\njourney: sale\n"
    )
    assert other.read_text().startswith("# yaml-language-server: $schema=https://schemas.example")
    assert (
        (shop / "channels.yaml")
        .read_text()
        .startswith("# yaml-language-server: $schema=.outreach/schema/channels.json\n")
    )


def test_the_line_leads_to_where_the_schemas_are_and_keeps_the_files_line_breaks(
    shop: Path,
) -> None:
    new = shop / "journeys/sale.yaml"
    new.write_bytes(b"journey: sale\r\nclass: friendly\r\nsteps: []\r\n")
    run("schema", str(shop), "--out", str(shop / "schemas"), "--modelines")
    assert new.read_bytes().startswith(
        b"# yaml-language-server: $schema=../schemas/journey.json\r\njourney: sale\r\n"
    )


def test_one_schema_can_be_printed_and_nothing_is_written(shop: Path) -> None:
    shutil.rmtree(shop / ".outreach")
    for kind in ("journey", "channels"):
        code, said = run("schema", str(shop), "--print", kind)
        assert code == 0
        assert json.loads(said)["properties"]
    assert not (shop / ".outreach").exists()
    code, said = run("schema", str(shop), "--print", "journeys")
    assert code == 1
    assert "did you mean 'journey'?" in said


def test_the_folder_may_be_named_as_validate_takes_it(shop: Path) -> None:
    code, said = run("schema", str(shop))
    assert code == 0
    assert said.startswith(f"{shop / editor.FOLDER}: ")


def test_a_folder_that_is_no_project_is_refused(tmp_path: Path) -> None:
    code, said = run("schema", "--project", str(tmp_path))
    assert code == 1
    assert "is not a project" in said


def channel_files() -> list[tuple[str, str]]:
    """Every channels.yaml that the documentation shows."""
    found = []
    for page in sorted((ROOT / "docs").rglob("*.md")):
        for number, block in enumerate(re.findall(r"```yaml\n(.*?)```", page.read_text(), re.S)):
            keys = set(re.findall(r"^([a-z_]+):", block, re.MULTILINE))
            if keys and keys <= set(NAMES):
                found.append((f"{page.stem} {number}", block))
    return found


CHANNELS = jsonschema_rs.Draft7Validator(channel_schema())


def in_part() -> jsonschema_rs.Draft7Validator:
    """What holds examples against the schema that leave out what was shown before."""
    told = channel_schema()
    for settings in told["definitions"].values():
        if settings.get("required") != ["kind"]:
            settings.pop("required", None)
    return jsonschema_rs.Draft7Validator(told)


IN_PART = in_part()


@pytest.mark.parametrize(("where", "text"), channel_files(), ids=lambda it: it.partition("\n")[0])
def test_no_channel_that_the_documentation_shows_is_red(where: str, text: str) -> None:
    assert [it.message for it in IN_PART.iter_errors(core(text))] == []


@pytest.mark.parametrize(
    "text",
    [
        *("smss: {}", "sms: smpp://host", "sms: {ulr: 'smpp://x'}", "sms: {kind: carrier-pigeon}"),
        *("sms: {kind: cmpp, host: h}", "telegram: {token: [a]}", "mms: {url: u, width: wide}"),
    ],
)
def test_a_channel_that_cannot_be_configured_is_red(text: str) -> None:
    assert list(CHANNELS.iter_errors(core(text)))


def test_a_setting_may_come_from_the_environment_whatever_it_is() -> None:
    text = "sms: {kind: cmpp, host: h, source: ${A}, sp_id: 900001, secret: x, port: '${PORT}'}"
    assert not list(CHANNELS.iter_errors(core(text.replace("${A}", "'${A}'"))))
