"""`python -m tests.bench.authoring`: what an author waits for: a check, and rows of an import.

The check is timed as an author meets it, a process of its own from its start to its end, and in
processor seconds, so that what runs beside it does not count; both also against what Python takes
to start and to end. Ends with one line of JSON.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage

from orchestrator.cli.rows import Reader
from orchestrator.project import shipped

NOW = datetime(2026, 3, 2, tzinfo=UTC)
HEADER = "key,phone,locale,timezone,name,tags,usage.mb_7d,usage.mb_30d,plan,consent.marketing"
ROWS = 20_000
JOURNEYS = 500
RUNS = 5

JOURNEY = """\
journey: tour-{n}
summary: The tour of shop {n}
class: friendly
enter:
  - on: shop-{n}.visited
    if: subscriber.city in ['Bonn', 'Köln'] and usage.visits|default(0) < {n}
again: after 90d
goal: {{on: shop-{n}.ordered, if: event.amount >= 10, within: 14d}}
leave:
  - on: shop-{n}.closed
  - if: "'quiet' in subscriber.tags"
steps:
  - id: welcome
    send: tour-{n}/welcome
    via: [chat, sms]

  - id: pause
    wait: 1d

  # The question, two days later.
  - id: question
    at: day 3 10:00
    ask: tour-{n}/question
    via: [chat, sms]
    within: 24h
    reply:
      - is: ['1', 'yes', 'ja']
        do:
          - award: 10
            for: answered
          - set: {{tags: [+keen]}}
      - is: ['2', 'no', 'nein']
        do:
          - leave: did not like it
      - else:
          - send: tour-{n}/welcome
            via: [chat, sms]
    silence:
      - set: {{tags: [+silent]}}

  - id: by-use
    when:
      - if: usage.visits >= 30
        do:
          - award: 5
            for: loyalty
      - else:
          - wait_for: shop-{n}.ordered
            within: 3d
            then:
              - set: {{attributes: {{stage: regular}}}}
"""

MESSAGES = {
    "welcome.en": """\
{{# What everybody is told of shop {n}. #}}
{{% block sms %}}Hello {{{{ subscriber.name|default('there') }}}}, good to have you in shop {n}:
{{{{ link('https://shop.example/{n}') }}}} Reply STOP to opt out{{% endblock %}}

{{% block chat %}}Hello {{{{ subscriber.name|default('there') }}}},
good to have you in shop {n}!{{% endblock %}}
{{% block chat_buttons %}}My points=/points | Stop=/stop{{% endblock %}}
""",
    "welcome.zh": """\
{{% block sms %}}您好{{{{ subscriber.name|default('') }}}}，欢迎光临{n}号店：
{{{{ link('https://shop.example/{n}') }}}} 回复TD退订{{% endblock %}}

{{% block chat %}}您好{{{{ subscriber.name|default('') }}}}，欢迎光临{n}号店！{{% endblock %}}
{{% block chat_buttons %}}我的积分=/points | 退订=/stop{{% endblock %}}
""",
    "question.en": """\
{{% block sms %}}Do you like shop {n}? Reply 1 for yes, 2 for no.
You have {{{{ points.balance }}}} points. Reply STOP to opt out{{% endblock %}}

{{% block chat %}}Do you like shop {n}?
You have {{{{ points.balance }}}} points.{{% endblock %}}
{{% block chat_buttons %}}Yes=1 | No=2 | Stop=/stop{{% endblock %}}
""",
    "question.zh": """\
{{% block sms %}}您喜欢{n}号店吗？喜欢回复1，不喜欢回复2。
您有{{{{ points.balance }}}}积分。回复TD退订{{% endblock %}}

{{% block chat %}}您喜欢{n}号店吗？您有{{{{ points.balance }}}}积分。{{% endblock %}}
{{% block chat_buttons %}}喜欢=1 | 不喜欢=2 | 退订=/stop{{% endblock %}}
""",
}


def generated(journeys: int) -> dict[str, str]:
    """The files of a project of so many journeys, no two of which say the same, each with two
    messages in two languages."""
    starter = shipped.starter()
    files = {name: text for name, text in starter.items() if "hello" not in name}
    for n in range(1, journeys + 1):
        files[f"journeys/tour-{n}.yaml"] = JOURNEY.format(n=n)
        for name, text in MESSAGES.items():
            files[f"templates/tour-{n}/{name}.j2"] = text.format(n=n)
    return files


def write(files: dict[str, str], folder: Path) -> None:
    """The files lie below the folder."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def took(*command: str) -> tuple[float, float]:
    """Seconds by the clock and by the processors that a command takes, the best of some runs."""
    best = (9e9, 9e9)
    for _ in range(RUNS):
        began_at, before = time.perf_counter(), getrusage(RUSAGE_CHILDREN)
        subprocess.run([sys.executable, *command], check=True, stdout=subprocess.DEVNULL)
        clock_s, after = time.perf_counter() - began_at, getrusage(RUSAGE_CHILDREN)
        used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        best = min(best[0], clock_s), min(best[1], used)
    return best


def rows_per_s() -> float:
    """How many rows a second become subscribers; storing them is not in it."""
    it, dice = Reader(HEADER.split(","), country="", how="import x.csv", now=NOW), random.Random(1)
    rows = [
        f"s{i},+861380{i:07d},zh-CN,Asia/Shanghai,李{i},a;b,{dice.random():.2f},{i},p1,yes".split(
            ","
        )
        for i in range(ROWS)
    ]
    began_at = time.process_time()
    for row in rows:
        it.read(row)
    return ROWS / (time.process_time() - began_at)


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--journeys", type=int, default=JOURNEYS)
    journeys = options.parse_args().journeys
    validate = ("-m", "orchestrator.cli", "validate")
    python = took("-c", "pass")
    ours = took(*validate, str(shipped.programme_folder()))
    with tempfile.TemporaryDirectory() as folder:
        write(generated(journeys), Path(folder))
        many = took(*validate, folder)
    found = {
        "python_s": python,
        "shipped_s": ours,
        "journeys": journeys,
        "generated_s": many,
        "rows_per_s": round(rows_per_s()),
    }
    for what, (clock_s, cpu_s) in (
        ("python", python),
        ("the shipped programme", ours),
        (f"{journeys} journeys", many),
    ):
        ratio = cpu_s / python[1]
        print(f"{what}: {clock_s:.2f} s, {cpu_s:.2f} s of CPU, {ratio:.0f} times Python's start")
    print(f"an import reads {found['rows_per_s']:,} rows a second")
    print(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
