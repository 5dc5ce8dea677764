"""In SQL: whether a number is on a list, and whether a place is in an area."""

from __future__ import annotations

import json

from orchestrator.core.area import EAST, LEAST, NORTH, Area, Outline
from orchestrator.core.expression.typed import Sheet, Sql
from orchestrator.core.telephone import LONGEST

_OWN_NUMBER = "number_of(s.addresses ->> 'sms')"


def on_list(on: Sheet, name: str, item: Sql | None) -> str:
    """Whether this number, or the subscriber's own, is on the list. Null if there is no such list.
    Its version is looked up once, not for every row."""
    asked = on.parameter(name)
    number = _OWN_NUMBER if item is None else _telephone(on, item)
    version = f"(SELECT l.version FROM lists l WHERE l.name = {asked} AND NOT l.expired)"
    found = f"SELECT FROM listed n WHERE n.version = {version} AND n.number = {number}"
    return f"CASE WHEN {version} IS NOT NULL THEN EXISTS ({found}) END"


def _telephone(on: Sheet, value: Sql) -> str:
    """bigint, NULL for what is no telephone number."""
    match value.type:
        case "text":
            return f"number_of({value.text})"
        case "numeric":
            return on.bind(value.text, lambda v: _whole(v, 1))
        case "boolean":
            return "NULL::bigint"
    return on.bind(
        value.text,
        lambda v: (
            f"CASE jsonb_typeof({v}) WHEN 'string' THEN number_of({v} #>> '{{}}')"
            f" WHEN 'number' THEN {_whole(f'({v})::numeric', 1)} END"
        ),
    )


def in_area(on: Sheet, area: Area | None, value: Sql) -> str:
    """Whether the place, a cell or a point, is in the area. Null if there is no such area."""
    if area is None or value.type == "boolean":
        return "NULL::boolean"
    names = json.dumps(dict.fromkeys(sorted(area.cells), 0), ensure_ascii=False)
    cells = f"(SELECT {on.parameter(names)}::jsonb)"  # asked for once, not for every row
    if value.type == "text":
        return f"({cells} ? {value.text})"
    if value.type == "numeric":
        return on.bind(value.text, lambda v: f"({cells} ? {_whole(v, 0)}::text)")
    return on.bind(
        value.text,
        lambda v: (
            f"CASE jsonb_typeof({v}) WHEN 'string' THEN {cells} ? ({v} #>> '{{}}')"
            f" WHEN 'number' THEN {cells} ? {_whole(f'({v})::numeric', 0)}::text"
            f" WHEN 'array' THEN {_covers(on, area.covers, v)} END"
        ),
        short=0,
    )


def _covers(on: Sheet, outline: Outline | None, v: str) -> str:
    """What `Outline` says of the point that the array is; see there."""
    if outline is None:
        return "NULL::boolean"
    columns = (
        on.parameter("{" + ",".join(map(repr, column)) + "}") + "::float8[]"
        for column in (zip(*outline.edges, strict=True) if outline.edges else ((),) * 4)
    )
    lon, lat = f"({v} -> 0)::numeric", f"({v} -> 1)::numeric"
    return (
        f"CASE WHEN jsonb_array_length({v}) = 2 THEN"
        f" CASE WHEN jsonb_typeof({v} -> 0) = 'number' AND jsonb_typeof({v} -> 1) = 'number'"
        f" THEN CASE WHEN abs({lon}) <= {EAST} AND abs({lat}) <= {NORTH}"
        " THEN (SELECT count(*) % 2 = 1"
        f" FROM unnest({', '.join(columns)}) AS e(x1, y1, x2, y2),"
        f" (SELECT {_degrees(lon)}, {_degrees(lat)}) AS p(x, y)"
        " WHERE CASE WHEN (e.y1 > p.y) <> (e.y2 > p.y)"
        " THEN p.x < (e.x2 - e.x1) * (p.y - e.y1) / (e.y2 - e.y1) + e.x1 END) END END END"
    )


def _whole(v: str, least: int) -> str:
    """bigint, NULL for what is no whole number from `least` on, of at most 15 digits."""
    fits = f"{v} BETWEEN {least} AND {10**LONGEST - 1} AND {v} = trunc({v})"
    return f"CASE WHEN {fits} THEN ({v})::bigint END"


def _degrees(v: str) -> str:
    return f"CASE WHEN abs({v}) < {LEAST} THEN 0 ELSE ({v})::float8 END"
