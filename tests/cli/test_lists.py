"""`outreach list`: a list of numbers is loaded whole, and told."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Mapping
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.cli.numbers import Reader
from orchestrator.cli.rows import Bad, phone_number
from tests.cli.shell import outreach


def test_a_list_is_loaded_and_its_bad_lines_are_told_by_line(
    applied: Mapping[str, str], tmp_path: Path
) -> None:
    file = tmp_path / "dnd.txt"
    file.write_text("# a register\n13800138000\n+86 138 0013 8001\n13800138000\nnobody\n\n12 # x\n")
    done = outreach("list", "load", "dnd", str(file), "--country", "86", "--json", env=applied)
    assert json.loads(done.stdout) == {
        "read": 5,
        "numbers": 2,
        "bad": 2,
        "expires_at": None,
    }
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "line 5: the phone number is not a number",
        "line 7: a phone number has 7 to 15 digits",
    ]
    shown = outreach("list", "show", env=applied)
    assert shown.stdout.startswith("dnd: 2 numbers, loaded ")

    file.write_text("13800138000\n")
    again = outreach("list", "load", "dnd", str(file), "--country", "86", env=applied)
    assert (again.returncode, again.stdout) == (0, "dnd: 1 numbers; 0 bad lines of 1\n")

    file.write_text("# nothing\n")
    empty = outreach("list", "load", "dnd", str(file), "--country", "86", env=applied)
    assert empty.returncode == 1
    assert "the list dnd stays as it was; if nobody is to be on it, add --empty" in empty.stderr
    known = json.loads(outreach("list", "show", "--json", env=applied).stdout)
    assert [it["numbers"] for it in known] == [1]


def test_what_a_spreadsheet_leaves_is_told_as_what_it_is() -> None:
    told: list[str] = []
    reader = Reader("44", lambda line, reason: told.append(f"{line}: {reason}"))
    rows = [
        "\ufeff+447700900002", "07700900003", '"+447700900004"', "7.7009E+11", "+447700900005,Bo",
        "Bo;+447700900006", "+44 7700 900007,", "447700900008\tBo", "7,7009E+11",
    ]  # fmt: skip
    numbers = [*reader.numbers(io.BytesIO("\r\n".join(rows).encode()))]
    assert [it for some in numbers for it in some] == [
        447700900002, 447700900003, 447700900004, 447700900007,
    ]  # fmt: skip
    beside = "one number a line, with nothing beside it"
    shortened = "a spreadsheet shortened this number: make its column a text"
    assert told == [
        f"4: {shortened}",
        *(f"{line}: {beside}" for line in (5, 6, 8)),
        f"9: {shortened}",
    ]


def test_nobody_is_on_an_empty_list_if_that_is_said(
    applied: Mapping[str, str], tmp_path: Path
) -> None:
    file = tmp_path / "nobody.txt"
    file.write_text("none\n")
    bad = outreach("list", "load", "nobody", str(file), "--empty", env=applied)
    assert (bad.returncode, "--empty" in bad.stderr) == (1, False)
    file.write_text("")
    done = outreach("list", "load", "nobody", str(file), "--empty", env=applied)
    assert (done.returncode, done.stdout) == (0, "nobody: 0 numbers; 0 bad lines of 0\n")
    shown = outreach("list", "show", "nobody", env=applied)
    assert shown.stdout.startswith("nobody: 0 numbers, loaded ")


def test_what_cannot_be_a_list_is_refused(tmp_path: Path) -> None:
    assert outreach("list", "load", "D N D", str(tmp_path / "x")).returncode == 1
    assert outreach("list", "drop").returncode == 2
    assert outreach("list", "merge", "dnd").returncode == 2
    soon = outreach("list", "load", "dnd", str(tmp_path / "x"), "--expires", "soon")
    assert (soon.returncode, "write a number and a unit" in soon.stderr) == (1, True)


def test_a_list_may_expire_and_be_dropped(applied: Mapping[str, str], tmp_path: Path) -> None:
    file = tmp_path / "airport.txt"
    file.write_text("+8613800138000\n")
    done = outreach("list", "load", "airport", str(file), "--expires", "30d", env=applied)
    assert re.fullmatch(
        r"airport: 1 numbers, until [-0-9]{10} [0-9:]{5} UTC; 0 bad lines of 1\n", done.stdout
    )
    shown = outreach("list", "show", "airport", env=applied)
    assert ", expires " in shown.stdout
    dropped = outreach("list", "drop", "airport", env=applied)
    assert (dropped.returncode, dropped.stdout) == (0, "airport: dropped, with 1 numbers\n")
    for gone in (("drop", "airport"), ("show", "airport")):
        done = outreach("list", *gone, env=applied)
        assert (done.returncode, "there is no list airport" in done.stderr) == (1, True)


LINES = st.one_of(
    st.integers(1, 10**16).map(str),
    st.sampled_from(["", "# x", "nobody", "+86 138 0013 8000", "008613800138000", "13800138000,"]),
    st.builds(lambda plus, n: f"{plus}{n}", st.sampled_from(["+", "", "0", "00", "+0", "86"]),
              st.integers(10**5, 10**15)),
)  # fmt: skip


@given(st.lists(LINES, max_size=40), st.sampled_from(["", "86", "1"]), st.sampled_from("\n\r"))
def test_numbers_are_read_together_as_they_are_one_by_one(
    lines: list[str], country: str, end: str
) -> None:
    expected, bad = [], []
    for place, line in enumerate(lines, 1):
        text = line.partition("#")[0].strip(",")
        try:
            expected += [int(phone_number(text, country))] if text else []
        except Bad as reason:
            bad.append((place, str(reason)))
    told: list[tuple[int, str]] = []
    reader = Reader(country, lambda *it: told.append(it))
    octets = io.BytesIO("".join(f"{line}{end.strip()}\n" for line in lines).encode())
    assert [number for some in reader.numbers(octets) for number in some] == expected
    assert told == bad
    assert (reader.read, reader.bad) == (len(expected) + len(bad), len(bad))


def test_a_file_longer_than_what_is_read_at_once_keeps_its_lines() -> None:
    lines = [str(8613000000000 + n) for n in range(5_000)]
    lines[3_000] = "nobody"
    told: list[tuple[int, str]] = []
    reader = Reader("86", lambda *it: told.append(it))
    read = [n for some in reader.numbers(io.BytesIO("\n".join(lines).encode())) for n in some]
    assert read == [int(line) for line in lines if line != "nobody"]
    assert told == [(3_001, "the phone number is not a number")]
