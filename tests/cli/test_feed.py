"""`outreach feed`: recordings and the made-up city, from a file to what the installation did."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from orchestrator.cli.recording import recorded
from orchestrator.core.feed import EventType, Feed
from orchestrator.project import shipped
from tests.cli.shell import outreach

FEED = Feed({"call.ended": EventType(properties={"peer": "text", "seconds": "number"})})


def read(file: Path, first: int = 1, country: str = "86") -> tuple[list[object], list[object]]:
    """The events of a recording, and the lines that hold none."""
    bad: list[object] = []
    events = recorded(file, FEED, country, first, lambda *it: bad.append(it), lambda octets: None)
    return [(it.line, it.name, it.who, it.at, it.source_id, it.properties) for it in events], bad


def test_a_table_of_events_is_read_with_what_its_columns_are_declared_to_hold(
    tmp_path: Path,
) -> None:
    file = tmp_path / "calls.csv"
    file.write_text(
        "name,at,number,source_id,peer,seconds,plan.name,code:text\n"
        "call.ended,1970-01-01T08:00:10+08:00,13800138000,c1,8613800138001,65,basic,007\n"
        "call.ended,11.5,+8613800138000,,8613800138001,,,\n"
        "call.ended,soon,13800138000,,,,,\n"
        "call.ended,12,nobody,,,,,\n"
        ",12,13800138000,,,,,\n"
    )
    events, bad = read(file)
    call = {"peer": "8613800138001"}
    assert events == [
        (2, "call.ended", 8613800138000, 10.0, "c1",
         {**call, "seconds": 65, "plan": {"name": "basic"}, "code": "007"}),
        (3, "call.ended", 8613800138000, 11.5, "calls:3", call),
    ]  # fmt: skip
    assert bad == [
        (4, "`at` is not a time like 2026-03-02T10:00:00+08:00"),
        (5, "the phone number is not a number"),
        (6, "it does not say what happened, or to whom"),
    ]
    assert [it[0] for it in read(file, first=3)[0]] == [3]  # type: ignore[index]


def test_lines_of_json_are_read_and_the_bad_ones_told(tmp_path: Path) -> None:
    file = tmp_path / "calls.ndjson"
    good = {"name": "x", "source_id": "1", "number": "+8613800138000", "at": "1970-01-01T00:00:05Z"}
    key = {"name": "x", "source_id": "2", "subscriber": "ann"}
    file.write_text("\n".join([json.dumps(good), "{", "", json.dumps(key), json.dumps({})]))
    events, bad = read(file)
    assert events == [
        (1, "x", 8613800138000, 5.0, "1", {}),
        (4, "x", "ann", 5.0, "2", {}),
    ]
    assert [it[0] for it in bad] == [2, 5]  # type: ignore[index]
    assert [it[0] for it in read(file, first=2)[0]] == [4]  # type: ignore[index]


def test_a_recording_is_fed_and_its_end_told(applied: Mapping[str, str], tmp_path: Path) -> None:
    people = tmp_path / "people.csv"
    people.write_text("key,phone\nann,+8613800138000\n")
    assert outreach("import", str(people), env=applied).returncode == 0
    file = tmp_path / "activated.csv"
    file.write_text(
        "name,at,number\nsubscriber.activated,1000,+8613800138000\n"
        "subscriber.activated,1000.2,+8613800138009\nsubscriber.activated,soon,+8613800138009\n"
    )
    done = outreach("feed", str(file), "--run", "one", "--json", env=applied)
    told = json.loads(done.stdout)
    assert done.returncode == 1
    assert (told["stored"], told["strangers"], told["bad"], told["resume"]) == (1, 1, 1, None)
    assert (
        done.stderr.splitlines()[-1] == "line 4: `at` is not a time like 2026-03-02T10:00:00+08:00"
    )
    again = outreach("feed", str(file), "--run", "one", env=applied)
    assert ": 1 known already, 1 about nobody we know\n" in again.stdout
    city = outreach(
        "feed", "--synthetic", "--people", "100", "--hours", "0.01", "--rate", "5", "--speed",
        "max", "--json", "--redis", env=applied,
    )  # fmt: skip
    assert json.loads(city.stdout)["events"] > 0, city.stderr


def test_a_server_that_refuses_is_told_with_all_that_another_try_needs(tmp_path: Path) -> None:
    for path, text in shipped.starter().items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    (tmp_path / "journeys/program/events.yaml").write_text(
        "events: {call.ended: {properties: {peer: text}}}\n"
    )
    file = tmp_path / "two calls.csv"
    file.write_text("name,at,number,peer\ncall.ended,12,+8613800138000,8613800138001\n")
    bodies: list[bytes] = []

    class Refuses(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(403)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Refuses) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        done = outreach(
            "feed", str(file), "--to", url, "--as-recorded", "--run", "one",
            "--project", str(tmp_path),
        )  # fmt: skip
        server.shutdown()
    assert [json.loads(it)["properties"] for it in bodies] == [{"peer": "8613800138001"}]
    assert done.returncode == 1
    again = f"--from 2 --run one --as-recorded --to {url} --project {tmp_path}"
    assert done.stderr.endswith(f"go on with: outreach feed '{file}' {again}\n")


def test_what_does_not_go_together_is_refused(tmp_path: Path) -> None:
    assert outreach("feed").returncode == 2
    assert outreach("feed", "x.csv", "--synthetic").returncode == 2
    assert outreach("feed", "--synthetic", "--from", "9").returncode == 2
    slow = outreach("feed", str(tmp_path / "x.csv"), "--speed", "slow")
    assert (slow.returncode, "write 1x, 10x, 0.5x, or max" in slow.stderr) == (1, True)
