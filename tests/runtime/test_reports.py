"""Reports that are read many at once come to what each of them is for itself."""

from __future__ import annotations

from datetime import UTC

from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.runtime.reports import Broken, EventShape, quick_lines, quick_list, read_one

_NUMBERS = [
    '"+8613800138000"', '"8613800138000"', "8613800138000", "8613800138000.0", "8613800138000.5",
    '"861380,861380"', '"86138001380001234"', '"+12345"', '"123456"', '"+0613800138000"', "1e400",
    "null", '"861380013800\\n"', '"861380013800 "', '"+8613800١3800"', "12345678901234567890", "[]",
]  # fmt: skip
_VALUES = [
    "1", "-0", "1e400", "1e-400", "NaN", "Infinity", "18446744073709551616", "-9223372036854775809",
    '"a"', '"\\ud800"', '"\\ud83d\\ude00"', '"\\u0000"', '"\\\\u0000"', '"\x01"', '"\x7f"', "[1]",
    '"a":1', "[" * 400 + "]" * 400, "[" * 9_000 + "]" * 9_000, '{"a":1,"a":2}', "{1:2}", "tru",
]  # fmt: skip
_TIMES = [
    "2026-03-02T10:00:00Z", "2026-03-02T10:00:00+08:00", "2026-03-02T24:00:00Z", "2026-03-02",
    "2026-03-02T10:00:00", "1970-01-01T00:00:00+01:00", "1971-01-01T00:00:00+14:00",
    "2999-12-31T23:59:59-01:00", "2998-12-31T23:59:59-23:59", "3000-01-01T00:00:00Z",
    "0001-01-01T00:00:00+01:00", "9999-12-31T23:59:59-01:00", "2026-02-29T10:00:00Z",
]  # fmt: skip
_FIELDS = st.one_of(
    st.sampled_from(_NUMBERS).map('"number":{}'.format),
    st.sampled_from(_VALUES).map('"properties":{{"a":{}}}'.format),
    st.sampled_from(_TIMES).map('"at":"{}"'.format),
    st.sampled_from(['"subscriber":"ann"', '"subscriber":""', '"name":""', '"more":1', "1:1"]),
    st.sampled_from(
        ['"properties":null', '"properties":[]', '"source_id":1', '"at":1', '"at":null']
    ),
)
_GOOD = '"name":"a","source_id":"1"'
_REPORTS = st.one_of(
    st.just(f'{{{_GOOD},"number":"+8613800138000"}}'),
    st.lists(_FIELDS, max_size=3).map(lambda it: "{" + ",".join([_GOOD, *it]) + "}"),
)
_BETWEEN = [
    *("\n", "\n", "\n", "\r\n", "\n\n", " ", "", "\r", "\n \n", ",", "\n\ufeff", "\x0b", "\n\t")
]


@settings(max_examples=300)
@given(st.lists(st.tuples(_REPORTS, st.sampled_from(_BETWEEN)), max_size=4), st.booleans())
def test_whatever_is_in_a_batch_it_is_read_as_each_for_itself(
    said: list[tuple[str, str]], spread: bool
) -> None:
    text = "".join(report + between for report, between in said)
    lines = (text.replace(",", ",\n", 1) if spread else text).encode("utf-8", "surrogatepass")
    quick = quick_lines(lines)
    if quick is not None:
        alone = [read_one(it) for it in lines.removesuffix(b"\n").split(b"\n") if lines]
        assert [_told(it) for it in quick] == [_told(it) for it in alone]
    body = b"[" + ",".join(report for report, _ in said).encode() + b"]"
    several = quick_list(body)
    if several is not None:
        alone = [read_one(report.encode()) for report, _ in said]
        assert [_told(it) for it in several] == [_told(it) for it in alone]


def _told(it: EventShape | Broken) -> object:
    if isinstance(it, Broken):
        return it
    at = it.at and it.at.astimezone(UTC)
    return it.name, it.source_id, it.subscriber, it.telephone, at, repr(it.properties)
