"""An installation with real processes: workers, a gateway, a carrier; and its people."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import asyncpg

from orchestrator.project.source import read_folder
from orchestrator.runtime.clock import Clock
from orchestrator.runtime.embedded import Urls

HOME = Path(__file__).parents[3]
OUTREACH = [sys.executable, "-m", "orchestrator.cli"]

CONTACT = """
classes:
  urgent: {purpose: service, consent: opt_out, uncertain: resend}
  answer: {purpose: answer, consent: answer}
"""

FILES = {
    **{path: text for path, text in read_folder(HOME).items() if path.startswith("templates/bot/")},
    "journeys/program/contact.yaml": CONTACT,
    "journeys/program/project.yaml": "{name: bench, locale: en, timezone: Asia/Shanghai}",
}

# People, with telephones.
FILL = """
INSERT INTO subscribers (key, shard, locale, timezone, addresses, created_at)
SELECT 'k' || i, i % 64, 'en', 'Asia/Shanghai',
    jsonb_build_object('sms', '+8613' || (800000000 + i)), $2
FROM generate_series(1, $1) i
"""
FILL_ADDRESSES = "INSERT INTO addresses SELECT 'sms', addresses ->> 'sms', id FROM subscribers"


async def fill(connection: asyncpg.Connection, people: int, clock: Clock) -> None:
    """So many people are there, of keys k1, k2, …"""
    await connection.execute(FILL, people, clock.now())
    await connection.execute(FILL_ADDRESSES)
    await connection.execute("VACUUM ANALYZE subscribers, addresses")


def write(folder: Path, files: Mapping[str, str]) -> None:
    """The project's folder holds these files."""
    for path, text in files.items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


class World:
    """The processes of one run."""

    def __init__(self, urls: Urls, folder: Path, clock: Clock) -> None:
        self.project, self.clock, self.urls = folder / "project", clock, urls
        self.log = folder / "processes.log"
        ours = ("OUTREACH_", "DATABASE_URL", "REDIS_URL")
        self.env = {k: v for k, v in os.environ.items() if not k.startswith(ours)} | {
            "DATABASE_URL": urls.database_url,
            "REDIS_URL": urls.redis_url,
            "OUTREACH_SECRET": "the secret of this bench only",
            "OUTREACH_PROJECT": str(self.project),
            "OUTREACH_CLOCK": str(clock),
        }

    @contextmanager
    def running(self, workers: int, port: int | None) -> Iterator[None]:
        """Workers, and a gateway to the carrier at `port`, run meanwhile."""
        env = dict(self.env)
        commands = [["worker"]] * workers
        if port is not None:
            env["OUTREACH_SMPP_URL"] = f"smpp://bench:bench@127.0.0.1:{port}?source=10086"
            commands = [*commands, ["gateway", "--channel", "sms"]]
        with self.log.open("w") as log, ExitStack() as stack:
            processes = [
                stack.enter_context(
                    subprocess.Popen([*OUTREACH, *it], env=env, stdout=log, stderr=log)
                )
                for it in commands
            ]
            try:
                yield
                if ended := [it.args for it in processes if it.poll() is not None]:
                    raise SystemExit(f"{ended} ended too soon: see {self.log.read_text()[-2000:]}")
            finally:
                for process in processes:
                    process.terminate()

    def start(self, *command: str) -> subprocess.Popen[str]:
        """A command of `outreach`, not waited for."""
        return subprocess.Popen(
            [*OUTREACH, *command],
            env=self.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def outreach(self, *command: str) -> tuple[int, str, str]:
        """What a command came to: exit code, output, errors."""
        process = self.start(*command)
        said, complained = process.communicate(timeout=1200)
        return process.returncode, said, complained

    def applied(self) -> dict[str, object]:
        """`outreach apply --json` of the project's folder, which must go well."""
        code, said, complained = self.outreach("apply", "--json")
        assert code == 0, complained
        found: dict[str, object] = json.loads(said)
        return found
