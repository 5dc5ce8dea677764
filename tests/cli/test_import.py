"""`outreach import`: files as people have them, and what becomes of each row."""

from __future__ import annotations

import csv
import json
import stat
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from orchestrator.cli.properties import nested, typed
from orchestrator.cli.rows import Bad, Reader, phone_number
from orchestrator.cli.table import opened
from orchestrator.core.errors import OutreachError
from orchestrator.store import importing, subscribers
from orchestrator.store.subscribers import NewSubscriber
from tests.cli.shell import outreach

NOW = datetime(2026, 3, 2, tzinfo=UTC)


def reader(header: str, country: str = "") -> Reader:
    return Reader(header.split(","), country=country, how="import x.csv", now=NOW)


def read(header: str, row: str, country: str = "") -> NewSubscriber:
    return reader(header, country).read(row.split(","))


# One command from end to end

BAD = """\
key,phone,locale,timezone,consent.marketing,usage.mb_7d
good,+8613800000001,zh-CN,Asia/Shanghai,yes,1.5
,+8613800000002,,,,
letters,call me,,,,
short,+8612,,,,
nowhere,+8613800000003,,Asia/Nowhere,,
babel,+8613800000004,not a locale,,,
unsure,+8613800000005,,,maybe,
thief,+8613800000001,,,,
wide,+8613800000006,,,,,,
also-good,+86 138-0000-0007,,,no,
"""


def test_good_rows_are_kept_and_bad_ones_put_aside_with_the_reason(
    applied: Mapping[str, str], tmp_path: Path
) -> None:
    file = tmp_path / "people.csv"
    file.write_text(BAD)
    done = outreach("import", str(file), "--json", env=applied)
    assert done.returncode == 1
    assert json.loads(done.stdout) == {"read": 10, "made": 2, "known": 0, "rejected": 8}
    rejects = tmp_path / "people.rejected.csv"
    assert stat.S_IMODE(rejects.stat().st_mode) == 0o600
    with rejects.open(encoding="utf-8-sig", newline="") as opened_file:
        rows = list(csv.reader(opened_file))
    assert rows[0][:3] == ["rejected_line", "rejected_reason", "key"]
    told = {int(row[0]): row[1] for row in rows[1:]}
    assert told == {
        3: "it has no key",
        4: "the phone number is not a number",
        5: "a phone number has 7 to 15 digits",
        6: "there is no such time zone; they are like Asia/Shanghai",
        7: "the locale is not like zh-CN",
        8: "consent.marketing is neither yes nor no",
        9: "its address belongs to another subscriber: good",
        10: "8 columns, but the header has 6",
    }
    assert next(row[2:] for row in rows if row[2] == "wide") == [
        "wide",
        "+8613800000006",
        "",
        "",
        "",
        "",
        "",
        "",
    ]
    story = json.loads(outreach("show", "+8613800000007", "--json", env=applied).stdout)
    assert story["subscriber"]["consents"]["marketing"]["granted"] is False
    assert not any(number in done.stderr for number in ("13800000001", "13800000003"))

    # Mended, the rejected file is taken as it is; a second time nothing is new.
    mended = rejects.read_text(encoding="utf-8-sig").replace("Asia/Nowhere", "Asia/Tokyo")
    again = tmp_path / "again.csv"
    again.write_text(mended)
    assert json.loads(outreach("import", str(again), "--json", env=applied).stdout)["made"] == 1
    assert json.loads(outreach("import", str(file), "--json", env=applied).stdout) == {
        "read": 10,
        "made": 0,
        "known": 2,
        "rejected": 8,
    }


def test_a_file_without_rejects_removes_those_of_an_earlier_one(
    applied: Mapping[str, str], tmp_path: Path
) -> None:
    file = tmp_path / "people.csv"
    file.write_bytes("\ufeffkey;phone;name\r\nu1;13800138000;李雷\r\n\r\n".encode())
    old = tmp_path / "people.rejected.csv"
    old.write_text("old")
    done = outreach("import", str(file), "--country", "86", env=applied)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "1 rows read: 1 subscribers made, 0 known, 0 rows rejected\n"
    assert not old.exists()
    shown = outreach("show", "13800138000", env=applied)
    assert shown.returncode == 1
    assert "李雷" in outreach("show", "+8613800138000", env=applied).stdout


# Files

CHINESE = "key,name\nu1,李雷\nu2,韩梅梅\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_a_file_is_read_in_the_encoding_it_is_in(
    encoding: str, newline: str, tmp_path: Path
) -> None:
    file = tmp_path / "x.csv"
    file.write_bytes(CHINESE.replace("\n", newline).encode(encoding))
    with opened(file) as table:
        assert table.header == ["key", "name"]
        assert [(row.line, row.cells) for row in table] == [
            (2, ["u1", "李雷"]),
            (3, ["u2", "韩梅梅"]),
        ]


def test_a_file_in_no_encoding_we_know_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "x.csv"
    file.write_bytes(CHINESE.encode("utf-16"))
    with pytest.raises(OutreachError, match="neither UTF-8 nor GB18030"), opened(file):
        pass


@pytest.mark.parametrize("encoding", ["utf-8", "gb18030"])
def test_a_line_of_broken_text_costs_only_its_own(encoding: str, tmp_path: Path) -> None:
    file = tmp_path / "x.csv"
    file.write_bytes(CHINESE.encode(encoding) + b"u3,M\xff\n" + "u4,王芳\n".encode(encoding))
    with opened(file) as table:
        rows = list(table)
    assert [row.cells[0] for row in rows] == ["u1", "u2", "u3", "u4"]
    assert [row.cells[1] for row in rows if not row.trouble] == ["李雷", "韩梅梅", "王芳"]
    assert rows[2].trouble.startswith("its text is broken")


def test_lines_in_quotes_are_one_row_and_a_quote_left_open_costs_only_its_own(
    tmp_path: Path,
) -> None:
    file = tmp_path / "x.csv"
    many = "".join(f"v{i}\ty\n" for i in range(300))
    file.write_text(
        'key\tname\nu1\t"two\nlines"\nu2\t"' + "x" * 200_000 + "\nu3\ty\n"
        'u4\t"open\n' + many + 'u5\t"open\nu6\t"quoted"\nu7\t"to the end\nu8\ty\n'
    )
    with opened(file) as table:
        rows = list(table)
    assert rows[0].cells == ["u1", "two\nlines"]
    assert rows[1].trouble.startswith("a quote is not closed")
    assert (rows[2].line, rows[2].cells, rows[2].trouble) == (5, ["u3", "y"], "")
    spoilt = [(row.line, row.cells[0], row.trouble) for row in rows[2:] if row.trouble]
    assert spoilt == [
        (line, key, "a quote is not closed") for line, key in ((6, "u4"), (307, "u5"), (309, "u7"))
    ]
    taken = {row.cells[0] for row in rows if not row.trouble}
    assert taken == {"u1", "u3", "u6", "u8", *(f"v{i}" for i in range(300))}


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ("phone,name", "no column `key`"),
        ("key,name,name", "the column name is there twice"),
        ("key,phone,sms", r"the column phone \(or sms\) is there twice"),
        ("key,usage,usage.mb", "usage is a value already"),
    ],
)
def test_a_header_that_cannot_be_used_is_told_before_anything_is_stored(
    header: str, said: str
) -> None:
    with pytest.raises(OutreachError, match=said):
        reader(header)


# Rows


def test_columns_become_what_their_names_say() -> None:
    header = "key,phone,mms,wap_push,webchat,locale,timezone,tags,consent,consent_at,plan,usage.mb"
    row = "u1,+8613800138000,yes,no,w1,zh_CN,Asia/Shanghai,a;b|a,news;ads,2026-01-02,p1,1.5"
    it = read(header, row)
    number = "+8613800138000"
    assert it.addresses == {"sms": number, "mms": number, "webchat": "w1"}
    assert (it.key, it.locale, it.timezone, it.tags) == ("u1", "zh-CN", "Asia/Shanghai", ("a", "b"))
    assert it.attributes == {"plan": "p1", "usage": {"mb": 1.5}}
    assert it.consents.keys() == {"news", "ads"}
    consent = it.consents["news"]
    assert (consent.granted, consent.how) == (True, "import x.csv")
    assert consent.at == datetime(2026, 1, 2, tzinfo=UTC)


def test_what_is_empty_is_not_said() -> None:
    it = read("key,phone,locale,timezone,tags,plan,consent.ads", "u1,,,,,,")
    assert it == NewSubscriber(key="u1")


def test_text_can_be_kept_as_text() -> None:
    assert read("key,imei:text,n", "u1,86,86").attributes == {"imei": "86", "n": 86}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", 0), ("-12", -12), ("12.50", 12.5), ("-0.5", -0.5), ("true", True), ("False", False),
        ("007", "007"), ("+1", "+1"), ("1e5", "1e5"), ("1,5", "1,5"), (".5", ".5"), ("5.", "5."),
        ("nan", "nan"), ("inf", "inf"), ("no", "no"), ("1" * 16, "1" * 16), ("٣", "٣"), ("²", "²"),
    ],
)  # fmt: skip
def test_numbers_are_numbers_and_codes_stay_texts(text: str, value: Any) -> None:
    found = typed(text)
    assert (found, type(found)) == (value, type(value))


def test_a_name_is_a_value_or_a_group_in_either_order() -> None:
    for pairs in ([("a", 1), ("a.b", 2)], [("a.b", 2), ("a", 1)]):
        with pytest.raises(OutreachError):
            nested(pairs)


@pytest.mark.parametrize(
    ("text", "country", "number"),
    [
        ("+86 138 0013 8000", "", "+8613800138000"),
        ("0086-138-0013-8000", "", "+8613800138000"),
        ("13800138000", "86", "+8613800138000"),
        ("8613800138000", "86", "+8613800138000"),
        ("07700 900123", "44", "+447700900123"),
        ("(030) 1234567", "49", "+49301234567"),
        ("+4930 1234567", "86", "+49301234567"),
    ],
)
def test_a_phone_number_is_kept_with_its_country(text: str, country: str, number: str) -> None:
    assert phone_number(text, country) == number


@pytest.mark.parametrize(
    "text", ["13800138000", "", "+", "+86138001380x", "+1234567890123456", "١٢٣٤٥٦٧٨"]
)
def test_what_is_no_phone_number_is_refused(text: str) -> None:
    with pytest.raises(Bad):
        phone_number(text, "")


# The store


async def test_who_wrote_in_before_keeps_what_they_said(database_url: str) -> None:
    connection = await asyncpg.connect(database_url)
    try:
        number = {"sms": "+8613800138000"}
        stranger = NewSubscriber(key="sms:+8613800138000", addresses=number)
        await subscribers.upsert(connection, [stranger], NOW, "en")
        before = await connection.fetchrow("SELECT id, shard FROM subscribers")
        known = NewSubscriber(key="u1", addresses=number, attributes={"name": "Li"})
        added = await importing.add(connection, [known], NOW, "en")
        assert (added.made, added.known, added.refused) == (0, 1, {})
        rows = await connection.fetch("SELECT id, shard, key FROM subscribers")
        assert [tuple(row) for row in rows] == [(before["id"], before["shard"], "u1")]
    finally:
        await connection.close()


async def test_of_two_with_one_number_the_first_gets_it_within_a_batch_and_after(
    database_url: str,
) -> None:
    connection = await asyncpg.connect(database_url)
    try:
        number = {"sms": "+8613800138000"}
        news = [NewSubscriber(key=key, addresses=number) for key in ("b", "a")]
        added = await importing.add(connection, news, NOW, "en")
        assert (added.made, added.refused) == (1, {"a": "b"})
        added = await importing.add(connection, news, NOW, "en")
        assert (added.known, added.refused) == (1, {"a": "b"})
    finally:
        await connection.close()


async def test_a_stranger_is_not_given_to_somebody_who_is_already_known(database_url: str) -> None:
    connection = await asyncpg.connect(database_url)
    try:
        number = {"sms": "+8613800138000"}
        stranger = NewSubscriber(key="sms:+8613800138000", addresses=number)
        await subscribers.upsert(connection, [stranger, NewSubscriber(key="u1")], NOW, "en")
        added = await importing.add(
            connection, [NewSubscriber(key="u1", addresses=number)], NOW, "en"
        )
        assert added.refused == {"u1": "somebody who wrote in before"}
    finally:
        await connection.close()
