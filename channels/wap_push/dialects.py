"""The three documents that go as WAP push, and the tokens of each.

Sources: WAP-167 §8.3 (service indication), WAP-168 §8.3 (service loading), WAP-183 §9 and
OMA-TS-ProvCont §7 (client provisioning, of which only what bookmarks need).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

from msgspec import Struct


class Start(Struct, frozen=True):
    """A token for an attribute whose value begins so. `page`: the code page it is on."""

    name: str
    prefix: str
    token: int
    page: int = 0


class Dialect(Struct, frozen=True, dict=True):
    """The tokens of one document type.

    `doctype` and `system` name its DTD. `mime` is the type of its octets, `short` that type as one
    octet of WSP (WAP-230 table 40, with its high bit), `xml` the type of its text. The values of
    the attributes in `dates` are moments, and go as BCD octets.
    """

    root: str
    public_id: int
    doctype: str
    system: str
    mime: str
    short: int
    xml: str
    tags: Mapping[str, int]
    starts: tuple[Start, ...]
    values: Mapping[str, int] = {}
    dates: frozenset[str] = frozenset()

    @cached_property
    def starts_of(self) -> Mapping[str, tuple[Start, ...]]:
        """The tokens of each attribute, that with the longest prefix first."""
        longest_first = sorted(self.starts, key=lambda start: -len(start.prefix))
        names = {start.name for start in self.starts}
        return {name: tuple(it for it in longest_first if it.name == name) for name in names}

    @cached_property
    def tag_of(self) -> Mapping[int, str]:
        return {token: name for name, token in self.tags.items()}

    @cached_property
    def start_of(self) -> Mapping[tuple[int, int], Start]:
        """By page and token."""
        return {(start.page, start.token): start for start in self.starts}

    @cached_property
    def value_of(self) -> Mapping[int, str]:
        return {token: value for value, token in self.values.items()}


_ENDINGS = {".com/": 0x85, ".edu/": 0x86, ".net/": 0x87, ".org/": 0x88}

SI = Dialect(
    root="si",
    public_id=0x05,
    doctype="-//WAPFORUM//DTD SI 1.0//EN",
    system="http://www.wapforum.org/DTD/si.dtd",
    mime="application/vnd.wap.sic",
    short=0xAE,
    xml="text/vnd.wap.si",
    tags={"si": 0x05, "indication": 0x06, "info": 0x07, "item": 0x08},
    starts=(
        Start("action", "signal-none", 0x05),
        Start("action", "signal-low", 0x06),
        Start("action", "signal-medium", 0x07),
        Start("action", "signal-high", 0x08),
        Start("action", "delete", 0x09),
        Start("created", "", 0x0A),
        Start("href", "", 0x0B),
        Start("href", "http://", 0x0C),
        Start("href", "http://www.", 0x0D),
        Start("href", "https://", 0x0E),
        Start("href", "https://www.", 0x0F),
        Start("si-expires", "", 0x10),
        Start("si-id", "", 0x11),
        Start("class", "", 0x12),
    ),
    values=_ENDINGS,
    dates=frozenset({"created", "si-expires"}),
)

SL = Dialect(
    root="sl",
    public_id=0x06,
    doctype="-//WAPFORUM//DTD SL 1.0//EN",
    system="http://www.wapforum.org/DTD/sl.dtd",
    mime="application/vnd.wap.slc",
    short=0xB0,
    xml="text/vnd.wap.sl",
    tags={"sl": 0x05},
    starts=(
        Start("action", "execute-low", 0x05),
        Start("action", "execute-high", 0x06),
        Start("action", "cache", 0x07),
        Start("href", "", 0x08),
        Start("href", "http://", 0x09),
        Start("href", "http://www.", 0x0A),
        Start("href", "https://", 0x0B),
        Start("href", "https://www.", 0x0C),
    ),
    values=_ENDINGS,
)

PROVISIONING = Dialect(
    root="wap-provisioningdoc",
    public_id=0x0B,
    doctype="-//WAPFORUM//DTD PROV 1.0//EN",
    system="http://www.wapforum.org/DTD/prov.dtd",
    mime="application/vnd.wap.connectivity-wbxml",
    short=0xB6,
    xml="text/vnd.wap.connectivity-xml",
    tags={"wap-provisioningdoc": 0x05, "characteristic": 0x06, "parm": 0x07},
    starts=(
        Start("name", "", 0x05),
        Start("value", "", 0x06),
        Start("name", "NAME", 0x07),
        Start("name", "STARTPAGE", 0x1C),
        Start("version", "", 0x45),
        Start("version", "1.0", 0x46),
        Start("type", "", 0x50),
        Start("name", "APPID", 0x36, page=1),
        Start("name", "URI", 0x3A, page=1),
        Start("type", "APPLICATION", 0x55, page=1),
        Start("type", "RESOURCE", 0x59, page=1),
    ),
)

DIALECTS = (SI, SL, PROVISIONING)
