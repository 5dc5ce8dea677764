"""Twenty thousand texts, coded and cut as two independent libraries do."""

from __future__ import annotations

from random import Random

import gsm0338
import smsutil

from orchestrator.core import short_message

SEED, TEXTS = 20261122, 20_000
GSM = "".join(
    chr(code) for code in range(0x20AD) if code != 0x1B and smsutil.is_valid_gsm(chr(code))
)
EDGES = (70, 71, 133, 134, 135, 152, 153, 154, 158, 159, 160, 161, 305, 306, 307)
OTHERS = "中文好ğş😀🎉\u200dж\u0000"
CODEC = gsm0338.Codec()


def draw(chance: Random) -> str:
    """A text: mostly short, often as long as an edge; one in five with what needs UTF-16."""
    length = chance.choice(EDGES) if chance.random() < 0.05 else chance.randrange(1, 30)
    pool = chance.choice((GSM, GSM[40:110], "ab€^{"))
    words = chance.choices(pool, k=length)
    if chance.random() < 0.2:
        for _ in range(chance.randrange(1, 4)):
            words[chance.randrange(length)] = chance.choice(OTHERS)
    return "".join(words)


def test_twenty_thousand_texts_are_coded_and_cut_as_smsutil_and_gsm0338_do() -> None:
    chance = Random(SEED)
    encode_gsm = CODEC.encode
    several = 0
    for _ in range(TEXTS):
        words = draw(chance)
        coded, theirs = short_message.split(words), smsutil.split(words)
        gsm = coded.data_coding == short_message.GSM7
        assert gsm == (theirs.encoding == "gsm0338"), repr(words)
        bare = coded.bare()
        assert [len(part) for part in bare] == [part.bytes for part in theirs.parts], repr(words)
        said = encode_gsm(words)[0] if gsm else words.encode("utf-16-be")
        assert b"".join(bare) == said, repr(words)
        several += len(bare) > 1
    assert several > 400
