"""Pictures beside templates: what they are is part of the project, and bad ones are found."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from orchestrator.core.errors import OutreachError
from orchestrator.core.media import MediaError, pictures_in, pointed
from orchestrator.project import pictures, source
from orchestrator.project.findings import ProjectErrors
from orchestrator.project.load import check

STARTER = Path(source.__file__).parent / "starter"
SAID = "{% block sms %}Hello{% endblock %}{% block mms_image %}hello/a.png{% endblock %}"


def picture(
    width: int = 8, height: int = 6, form: str = "PNG", colour: tuple[int, int, int] = (200, 30, 30)
) -> bytes:
    octets = BytesIO()
    Image.new("RGB", (width, height), colour).save(octets, form)
    return octets.getvalue()


def declared(width: int, height: int) -> bytes:
    """A PNG of a few octets that says it is this large."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = zlib.compress(b"\0" * 100)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def grown(width: int, height: int) -> bytes:
    """A GIF that says it is one pixel, and has a picture of this size in it."""
    octets = bytearray(picture(1, 1, "GIF"))
    at = octets.index(b",", 13 + 3 * 2)
    octets[at + 5 : at + 9] = struct.pack("<HH", width, height)
    return bytes(octets)


@pytest.fixture
def project(tmp_path: Path) -> Callable[[str, bytes], Path]:
    for name, text in source.read_folder(STARTER).items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def put(name: str, octets: bytes) -> Path:
        (tmp_path / "templates/hello" / name).write_bytes(octets)
        return tmp_path

    return put


@pytest.mark.parametrize(
    ("name", "form", "mime"),
    [("a.png", "PNG", "image/png"), ("a.jpg", "JPEG", "image/jpeg"), ("a.gif", "GIF", "image/gif")],
)
def test_a_picture_is_part_of_the_project(
    project: Callable[[str, bytes], Path], name: str, form: str, mime: str
) -> None:
    octets = picture(form=form)
    folder = project(name, octets)
    files = source.read_folder(folder)
    found = pictures_in(files)[f"hello/{name}"]
    assert (found.mime, found.width, found.height, found.size) == (mime, 8, 6, len(octets))
    assert pointed(found.pointer()) == found
    assert source.read_pictures(folder, files) == {found.hash: octets}


def test_an_edited_picture_is_another_version(project: Callable[[str, bytes], Path]) -> None:
    before = source.read_folder(project("a.png", picture()))
    again = source.read_folder(project("a.png", picture()))
    after = source.read_folder(project("a.png", picture(colour=(0, 0, 0))))
    assert source.content_hash(before) == source.content_hash(again)
    assert source.content_hash(before) != source.content_hash(after)


def test_a_picture_that_changes_while_it_is_read_is_noticed(
    project: Callable[[str, bytes], Path],
) -> None:
    folder = project("a.png", picture())
    files = source.read_folder(folder)
    project("a.png", picture(9))
    with pytest.raises(OutreachError, match=r"a\.png was changed"):
        source.read_pictures(folder, files)


@pytest.mark.parametrize(
    ("octets", "message"),
    [
        (b"", "no PNG, JPEG or GIF"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "no PNG, JPEG or GIF"),
        (picture()[:50], "no PNG, JPEG or GIF"),
        (picture(form="BMP"), "no PNG, JPEG or GIF"),
        (declared(100, 100), "no PNG, JPEG or GIF"),
        (declared(4000, 4000), "4000 x 4000 pixels"),
        (declared(12_000, 12_000), "over 12000000 pixels"),
        (declared(1 << 20, 1 << 20), "over 12000000 pixels"),
        (grown(4000, 4000), "4000 x 4000 pixels"),
        (grown(20_000, 20_000), "over 12000000 pixels"),
        (picture() + b"\0" * pictures.MAX_OCTETS, "larger than 2097152 octets"),
    ],
    ids=[
        "empty",
        "svg",
        "cut",
        "bmp",
        "short",
        "large",
        "larger",
        "bomb",
        "grown",
        "exploded",
        "octets",
    ],
)
def test_what_is_no_picture_is_an_error_with_its_file(
    project: Callable[[str, bytes], Path], octets: bytes, message: str
) -> None:
    folder = project("a.png", octets)
    with pytest.raises(ProjectErrors) as raised:
        source.read_folder(folder)
    [found] = raised.value.findings
    assert (found.mark.file, found.rule) == ("templates/hello/a.png", "picture")
    assert message in found.message
    assert found.hint


def test_a_picture_that_is_there_may_be_named(project: Callable[[str, bytes], Path]) -> None:
    files = source.read_folder(project("a.png", picture()))
    _, findings = check({**files, "templates/hello/other.en.j2": SAID})
    assert findings == ()


def test_a_text_in_the_place_of_a_picture_is_an_error() -> None:
    files = {**source.read_folder(STARTER), "templates/hello/a.png": "hello"}
    _, findings = check(files)
    assert [(it.mark.file, it.rule) for it in findings] == [("templates/hello/a.png", "picture")]
    with pytest.raises(MediaError):
        pictures_in(files)
