"""`outreach up` on the starter project: one tree of real processes, from an import to a STOP."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from orchestrator.project import shipped
from tests.cli.shell import Up, eventually, outreach, processes_about, running_up

NUMBER = "+8613800138421"
CANARY_NAME = "Kanarienvogel"
RICH_NUMBER = "+8613800138423"
RICH = """
journey: rich
class: friendly
enter:
  - on: pictures.wanted
steps:
  - id: picture
    send: rich/picture
    via: [mms, sms]
  - id: link
    wait: 1s
  - id: linked
    send: rich/link
    via: [wap_push, sms]
"""
PICTURE = """\
{% block sms %}No picture{% endblock %}
{% block mms_subject %}Look{% endblock %}
{% block mms_text %}A gift{% endblock %}
{% block mms_image %}rich/gift.png{% endblock %}
"""
LINK = """\
{% block sms %}No link{% endblock %}
{% block wap_push_text %}Open it{% endblock %}
{% block wap_push_href %}https://shop.example/gift{% endblock %}
"""
CANARY_REPLY = "what is a kanarienruf"


@pytest.fixture(scope="module")
def up(shop: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """Everything runs, three people are imported, one of them with a phone for everything."""
    project = Path(shutil.copytree(shop, tmp_path_factory.mktemp("up") / "shop"))
    people = project / "people.csv"
    people.write_text(
        "key,phone,mms,wap_push,locale,timezone,name,consent.service\n"
        f"u1,{NUMBER},,,en,Asia/Shanghai,{CANARY_NAME},yes\n"
        "u2,+8613800138422,,,en,Asia/Shanghai,Another,yes\n"
        f"u3,{RICH_NUMBER},yes,yes,en,Asia/Shanghai,Third,yes\n"
    )
    (project / "journeys/rich.yaml").write_text(RICH)
    (project / "templates/rich").mkdir()
    (project / "templates/rich/picture.en.j2").write_text(PICTURE)
    (project / "templates/rich/link.en.j2").write_text(LINK)
    gift = shipped.programme_folder() / "templates/seven-days/gift.png"
    shutil.copy(gift, project / "templates/rich/gift.png")
    with running_up(project, "-v") as up:
        done = outreach("import", str(people), "--project", str(project))
        assert done.returncode == 0, done.stderr
        assert done.stdout == "3 rows read: 3 subscribers made, 0 known, 0 rows rejected\n"
        yield up
        ended_in_order(up)


def ended_in_order(up: Up) -> None:
    """Asked to end it has ended, everybody in their turn, and nobody is left behind."""
    assert len(processes_about(up.project)) > 6
    assert up.end() == 0
    assert up.lines[-1].endswith(" stopped")
    assert processes_about(up.project) == []
    assert "Traceback" not in up.written
    endings = [line for line in up.lines if "_ended name=" in line and "child_ended" not in line]
    assert {line.split()[0] for line in endings} == {"worker", "matcher", "gateway", "web"}


class Wall:
    """The page with all the telephones, as its own script sees it."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self.phones: dict[str, list[dict[str, Any]]] = {}

    async def until(self, number: str, words: str) -> None:
        """The phone shows these words."""
        digits = number.removeprefix("+")
        async with asyncio.timeout(30):
            while not any(words in line["text"] for line in self.phones.get(digits, [])):
                frame = json.loads(await self._socket.receive_str())
                for phone in frame.get("phones", []):
                    self.phones[phone["number"]] = phone["lines"]

    async def say(self, number: str, text: str) -> None:
        digits = number.removeprefix("+")
        await self._socket.send_json({"type": "say", "number": digits, "text": text})


async def test_from_an_import_to_a_stop(up: Up) -> None:
    project = str(up.project)
    url = f"{up.place('phones')}/wall/socket"
    async with aiohttp.ClientSession() as session, session.ws_connect(url) as socket:
        wall = Wall(socket)
        command = ("event", NUMBER, "subscriber.activated", "--source-id", "once")
        first = outreach(*command, "--project", project)
        assert (first.returncode, first.stdout) == (0, "stored\n")
        again = outreach(*command, "--project", project)
        assert (again.returncode, again.stdout[:13]) == (0, "known already")
        await wall.until(NUMBER, f"Hello {CANARY_NAME}")
        assert "hello: active at question · next " in outreach("show", "u1", "-p", project).stdout
        await wall.say(NUMBER, CANARY_REPLY)
        await wall.until(NUMBER, "STOP")
        await wall.say(NUMBER, "STOP")
        eventually(lambda: "everything" in up.story("u1")["subscriber"]["consents"])
    story = up.story("u1")
    assert story["subscriber"]["consents"]["everything"]["granted"] is False
    kinds = [(it["kind"], it["what"]) for it in story["moments"]]
    assert ("event", "subscriber.activated") in kinds
    assert kinds.count(("reply", "sms")) == 2
    welcome = next(it for it in story["moments"] if it["what"] == "hello/welcome")
    assert welcome["facts"]["state"] == "delivered"
    assert story["enrollments"][0]["status"] == "left"
    shown = outreach("show", NUMBER, "--project", project).stdout
    assert "everything: REFUSED" in shown
    assert "hello: left" in shown
    # The log, that of every process at its fullest, holds no number and no words of anybody.
    assert " smpp_bound " in up.written
    for canary in (NUMBER.removeprefix("+"), CANARY_NAME, CANARY_REPLY, "good to have you"):
        assert canary not in up.written, canary


async def test_without_a_carrier_an_mms_and_a_push_reach_a_simulated_phone(up: Up) -> None:
    phones, digits = up.place("phones"), RICH_NUMBER.removeprefix("+")
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(f"{phones}/wall/socket") as socket,
    ):
        wall = Wall(socket)
        outreach("event", "u3", "pictures.wanted", "--project", str(up.project))
        await wall.until(RICH_NUMBER, "A gift")
        await wall.until(RICH_NUMBER, "Open it")
        mms, push = wall.phones[digits]
        assert (mms["subject"], push["href"]) == ("Look", "https://shop.example/gift")
        async with session.get(f"{phones}/wall/pictures/{digits}/{mms['picture']}") as answer:
            gift = up.project / "templates/rich/gift.png"
            assert await answer.read() == gift.read_bytes()
    # Its centre told what became of the MMS.
    eventually(lambda: [it["state"] for it in sent(up, "u3")] == ["delivered", "delivered"])
    assert [it["channel"] for it in sent(up, "u3")] == ["mms", "wap_push"]


def sent(up: Up, who: str) -> list[dict[str, Any]]:
    """The facts of what was sent to them."""
    return [it["facts"] for it in up.story(who)["moments"] if it["what"].startswith("rich/")]


async def test_the_api_lets_in_who_has_the_key_of_the_data_folder(up: Up) -> None:
    key = (up.project / ".outreach/api-key").read_text()
    event = {"subscriber": "u2", "name": "order.placed", "source_id": "order-1"}
    url = f"{up.place('API')}/v1/events"
    async with aiohttp.ClientSession() as session:
        async with session.post(url, json=event) as answer:
            assert answer.status == 401
        headers = {"Authorization": f"Bearer {key}"}
        async with session.post(url, json=event, headers=headers) as answer:
            assert (answer.status, (await answer.json())["stored"]) == (202, 1)


def test_a_second_one_on_the_same_port_says_whom_it_met(up: Up) -> None:
    port = up.place("API").rpartition(":")[2]
    env = {"OUTREACH_WEB_PORT": port, "OUTREACH_WALL_PORT": "0"}
    second = outreach("up", "--project", str(up.project), env=env)
    assert second.returncode == 1
    assert second.stderr.startswith(f"error: port {port} on 127.0.0.1 is taken")
    assert "OUTREACH_WEB_PORT" in second.stderr


def test_a_killed_worker_is_started_again(up: Up) -> None:
    before = up.written.count(" worker_ready ")
    worker = next(it for it in processes_about(up.project) if it.endswith(" worker -v "))
    os.kill(int(worker.split()[0]), signal.SIGKILL)
    eventually(lambda: "child_ended name=worker code=-9" in up.written)
    eventually(lambda: up.written.count(" worker_ready ") == before + 1)
    outreach("event", "u2", "subscriber.activated", "--project", str(up.project))
    eventually(lambda: up.story("u2")["enrollments"])
