"""Areas: who is inside, by cell and by point."""

from __future__ import annotations

from fractions import Fraction
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.core.area import Area, Cells, Outline, Point

SQUARE = Outline(((0.0, 0.0), (2.0, 0.0), (2.0, 2.0), (0.0, 2.0)))
ARROW = Outline(((0.0, 0.0), (4.0, 0.0), (4.0, 4.0), (2.0, 1.0), (0.0, 4.0)))


def test_a_cell_is_inside_by_its_text_or_its_number() -> None:
    area = Area(frozenset({"460-00-1", "7"}))
    assert area.has("460-00-1") is True
    assert area.has(7) is True
    assert area.has(7.0) is True
    assert area.has("8") is False
    assert area.has(8) is False


@pytest.mark.parametrize("place", [None, True, [], {}, [1, "2"], [1, 2, 3], [181, 0], -1, 0.5])
def test_what_is_no_place_is_neither_inside_nor_outside(place: object) -> None:
    assert Area(frozenset({"1"}), SQUARE).has(place) is None


def test_a_point_is_neither_inside_nor_outside_where_there_is_no_outline() -> None:
    assert Area(frozenset({"1"})).has([1, 1]) is None


def test_points_are_inside_an_outline_or_not() -> None:
    area = Area(covers=ARROW)
    assert area.has([1, 1]) is True
    assert area.has([2, 3]) is False, "between the barbs"
    assert area.has([5, 1]) is False
    assert area.has([2, -1]) is False


def test_neighbours_share_no_point_and_leave_none_out() -> None:
    west, east = SQUARE, Outline(((2.0, 0.0), (4.0, 0.0), (4.0, 2.0), (2.0, 2.0)))
    for lat in (0.0, 0.5, 1.0, 1.9):
        for lon in (0.0, 1.0, 2.0, 3.0):
            assert west(lon, lat) != east(lon, lat)


def crosses(outline: Outline, point: Point) -> bool:
    """The even-odd rule in exact fractions, written apart from what it tests."""
    lon, lat = map(Fraction, point)
    count = 0
    corners = [(Fraction(x), Fraction(y)) for x, y in outline.points]
    for (x1, y1), (x2, y2) in zip(corners, corners[1:] + corners[:1], strict=True):
        if min(y1, y2) <= lat < max(y1, y2):
            count += lon < x1 + (lat - y1) / (y2 - y1) * (x2 - x1)
    return count % 2 == 1


@given(st.integers(0, 2**32))
@settings(max_examples=100, deadline=None)
def test_the_cells_within_are_those_that_the_outline_covers(seed: int) -> None:
    random = Random(seed)

    def point() -> Point:
        """On a coarse grid, so that corners, edges and cells meet."""
        return random.randint(0, 12) / 4, random.randint(0, 12) / 4

    outline = Outline(tuple(point() for _ in range(random.randint(3, 9))))
    cells = Cells({f"c{number}": point() for number in range(60)})
    covered = {name for name, at in cells.points.items() if outline(*at)}
    assert cells.within(outline) == covered
    assert covered == {name for name, at in cells.points.items() if crosses(outline, at)}
