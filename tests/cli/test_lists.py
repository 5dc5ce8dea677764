"""`outreach list`: a list of numbers is loaded whole, and told."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from tests.cli.shell import outreach


def test_a_list_is_loaded_and_its_bad_lines_are_told_by_line(
    applied: Mapping[str, str], tmp_path: Path
) -> None:
    file = tmp_path / "dnd.txt"
    file.write_text("# a register\n13800138000\n+86 138 0013 8001\n13800138000\nnobody\n\n12 # x\n")
    done = outreach("list", "load", "dnd", str(file), "--country", "86", "--json", env=applied)
    assert json.loads(done.stdout) == {"read": 5, "numbers": 2, "bad": 2}
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
    assert "the list dnd stays as it was" in empty.stderr
    known = json.loads(outreach("list", "show", "--json", env=applied).stdout)
    assert [it["numbers"] for it in known] == [1]


def test_what_cannot_be_a_list_is_refused(tmp_path: Path) -> None:
    assert outreach("list", "load", "D N D", str(tmp_path / "x")).returncode == 1
    assert outreach("list", "drop", "dnd").returncode == 2
