"""Pictures are made to fit: a phone's screen, a message's octets, never larger than they were."""

from __future__ import annotations

import asyncio
import threading
from io import BytesIO

import pytest
from PIL import Image

from channels import pictures
from channels.base import Media, MediaError
from channels.pictures import Fitted, Fitting, Frame, fit
from tests.channels.mms.conftest import media

ROOM = 100_000


def opened(it: Fitted) -> Image.Image:
    image = Image.open(BytesIO(it.octets))
    image.load()
    return image


@pytest.mark.parametrize("form", ["PNG", "JPEG", "GIF"])
def test_what_fits_goes_as_it_is(form: str) -> None:
    small = media(40, 30, form)
    assert fit(small, Frame(640, 480, ROOM)).octets == small.octets


@pytest.mark.parametrize("form", ["PNG", "JPEG", "GIF"])
@pytest.mark.parametrize(("width", "height"), [(1000, 500), (500, 1000), (3000, 100)])
def test_what_is_too_large_for_the_screen_is_scaled_in_its_shape(
    form: str, width: int, height: int
) -> None:
    made = fit(media(width, height, form, noise=20), Frame(240, 320, ROOM))
    image = opened(made)
    assert image.size == (made.width, made.height)
    assert made.width <= 240
    assert made.height <= 320
    assert made.width / made.height == pytest.approx(width / height, rel=0.1)
    assert made.mime == f"image/{(image.format or '').lower()}"


@pytest.mark.parametrize(("form", "mode"), [("GIF", "RGB"), ("PNG", "P"), ("PNG", "L")])
def test_what_the_other_side_does_not_read_is_made_again_in_its_size(form: str, mode: str) -> None:
    given = media(40, 30, form, mode=mode)
    frame = Frame(640, 480, ROOM, ("image/png", "image/jpeg"), ("RGB", "RGBA"))
    made = fit(given, frame)
    assert (made.mime, opened(made).mode, opened(made).size) == ("image/png", "RGBA", (40, 30))


def test_a_picture_is_never_made_larger() -> None:
    small = media(20, 10, "PNG")
    made = fit(small, Frame(640, 480, ROOM))
    assert (made.width, made.height) == (20, 10)


@pytest.mark.parametrize("octets", [60_000, 20_000, 6_000, 2_000])
@pytest.mark.parametrize("form", ["PNG", "JPEG"])
def test_what_has_too_many_octets_gets_fewer(form: str, octets: int) -> None:
    made = fit(media(640, 480, form), Frame(640, 480, octets))
    assert len(made.octets) <= octets
    assert opened(made).format == "JPEG"


def test_what_is_transparent_stands_on_white_if_it_must() -> None:
    clear = Image.new("RGBA", (400, 400), (0, 0, 0, 0))
    octets = BytesIO()
    clear.save(octets, "PNG")
    noisy = media(400, 400, "PNG", mode="RGBA")
    whole = Media(noisy.picture, octets.getvalue())
    assert opened(fit(whole, Frame(100, 100, ROOM))).mode == "RGBA"
    tight = fit(noisy, Frame(400, 400, 8_000))
    assert opened(tight).mode == "RGB"


def test_what_cannot_be_made_small_enough_is_an_error() -> None:
    with pytest.raises(MediaError, match="small enough"):
        fit(media(640, 480), Frame(640, 480, 100))


def test_what_cannot_be_read_any_more_is_an_error() -> None:
    broken = Media(media(640, 480).picture, b"nonsense")
    with pytest.raises(MediaError, match="read"):
        fit(broken, Frame(64, 48, ROOM))


async def test_a_picture_is_made_once_for_each_frame_and_beside_the_loop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    threads: list[int] = []
    load = Image.Image.thumbnail

    def thumbnail(self: Image.Image, *given: object) -> None:
        threads.append(threading.get_ident())
        load(self, *given)  # type: ignore[arg-type]

    monkeypatch.setattr(Image.Image, "thumbnail", thumbnail)
    fitting, photo = Fitting(), media(800, 600, "JPEG", noise=8)
    made = await asyncio.gather(*(fitting.fit(photo, Frame(240, 320, ROOM)) for _ in range(20)))
    assert len({it.octets for it in made}) == 1
    await fitting.fit(photo, Frame(128, 128, ROOM))
    assert len(threads) == 2
    assert threading.get_ident() not in threads


async def test_what_could_not_be_made_is_not_tried_again_and_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tries: list[Frame] = []

    def tried(picture: Media, frame: Frame) -> Fitted:
        tries.append(frame)
        return fit(picture, frame)

    monkeypatch.setattr(pictures, "fit", tried)
    fitting, noisy = Fitting(), media(640, 480)
    for _ in range(50):
        with pytest.raises(MediaError):
            await fitting.fit(noisy, Frame(640, 480, 100))
    assert len(tries) == 1


async def test_what_is_kept_is_bounded() -> None:
    fitting = Fitting(most_octets=50_000)
    for n in range(30):
        await fitting.fit(media(200 + n, 200, "JPEG"), Frame(100, 100, ROOM))
    kept = [it for it in fitting._kept.values() if isinstance(it, Fitted)]
    assert sum(len(it.octets) for it in kept) <= 50_000
    assert fitting._octets == sum(len(it.octets) + 200 for it in kept)
