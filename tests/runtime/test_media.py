"""Pictures of applied projects: kept once, found by name, gone with the last project."""

from __future__ import annotations

import pytest

from orchestrator.core.media import Media, MediaError
from orchestrator.project import pictures
from orchestrator.runtime import channels, projects
from orchestrator.runtime.context import Context
from orchestrator.runtime.media import Gallery
from tests.project.test_pictures import picture
from tests.runtime.installation import FILES, NOON, installed

RED, BLUE = picture(), picture(colour=(0, 0, 200))


async def _apply(context: Context, named: dict[str, bytes], *, octets: bool = True) -> bool:
    looked = {name: pictures.look(name, raw) for name, raw in named.items()}
    files = {**FILES, **{f"templates/{name}": it.pointer() for name, it in looked.items()}}
    given = {it.hash: named[name] for name, it in looked.items()} if octets else {}
    async with context.pool.acquire() as connection:
        _, changed = await projects.apply(connection, files, NOON, given)
    return changed


async def _kept(context: Context) -> int:
    kept: int = await context.pool.fetchval("SELECT count(*) FROM media")
    return kept


async def test_a_channel_gets_the_picture_that_was_applied(
    database_url: str, redis_url: str
) -> None:
    async with installed(database_url, redis_url) as context:
        assert await _apply(context, {"hello/a.png": RED, "hello/b.png": RED, "c.png": BLUE})
        assert await _kept(context) == 2
        find = channels.means(context).media
        found: Media = await find("hello/b.png")
        assert found.octets == RED
        assert (found.picture.mime, found.picture.width) == ("image/png", 8)
        assert (await find("c.png")).octets == BLUE
        with pytest.raises(MediaError):
            await find("hello/nobody.png")


async def test_an_edited_picture_is_applied_and_its_octets_are_needed_once(
    database_url: str, redis_url: str
) -> None:
    async with installed(database_url, redis_url) as context:
        assert await _apply(context, {"a.png": RED})
        assert not await _apply(context, {"a.png": RED}, octets=False)
        with pytest.raises(MediaError, match=r"templates/a\.png"):
            await _apply(context, {"a.png": BLUE}, octets=False)
        assert (await Gallery(context.pool).find("a.png")).octets == RED
        assert await _apply(context, {"a.png": BLUE})
        assert (await Gallery(context.pool).find("a.png")).octets == BLUE
        assert await _apply(context, {"a.png": RED}, octets=False)


async def test_a_queued_message_finds_a_picture_that_was_taken_away_since(
    database_url: str, redis_url: str
) -> None:
    async with installed(database_url, redis_url) as context:
        await _apply(context, {"a.png": RED})
        await _apply(context, {"b.png": BLUE})
        assert (await Gallery(context.pool).find("a.png")).octets == RED


async def test_what_no_project_names_any_more_goes(database_url: str, redis_url: str) -> None:
    async with installed(database_url, redis_url) as context:
        await _apply(context, {"a.png": RED})
        await context.pool.execute("DELETE FROM projects")
        await _apply(context, {"b.png": BLUE})
        assert await _kept(context) == 1


async def test_what_a_process_keeps_at_hand_is_bounded(database_url: str, redis_url: str) -> None:
    async with installed(database_url, redis_url) as context:
        several = {f"{n}.png": picture(8 + n) for n in range(6)}
        await _apply(context, several)
        gallery = Gallery(context.pool, most_octets=300)
        for _ in range(2):
            for name, octets in several.items():
                assert (await gallery.find(name)).octets == octets
        assert sum(len(it.octets) for it in gallery._kept.values()) <= 300
