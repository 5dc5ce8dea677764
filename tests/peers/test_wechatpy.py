"""wechatpy 1.8.18, which others wrote, opens what we seal, and we what it seals."""

from __future__ import annotations

import asyncio
import warnings
from io import BytesIO

import pytest

from channels.carriers.weixin import APP_ID as ACCOUNT
from channels.carriers.weixin import APP_SECRET, Weixin
from channels.pictures import fit
from channels.wechat.api import Api
from channels.wechat.crypt import Seal, SealError, signature, signed
from channels.wechat.envelope import heard, read, write
from channels.wechat.settings import WeChatSettings
from channels.wechat.showing import FRAME
from tests.channels.mms.conftest import media

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of what it imports
    from wechatpy import WeChatClient, parse_message
    from wechatpy.crypto import WeChatCrypto
    from wechatpy.exceptions import InvalidAppIdException
    from wechatpy.utils import WeChatSigner

APP_ID = "wx49f0ab532d5d035a"
AES_KEY = "kWxPEV2UEDyxWpmPdKC3F4dgPDmOvfKX1HGnEUDS1aR"
TOKEN = "123456"

MESSAGES = [
    "<xml><a>short</a></xml>",
    "<xml><Content>积分 😀 ]]&gt;</Content></xml>",
    *("<xml>" + "x" * length + "</xml>" for length in range(70)),
]


def test_signatures_are_the_same() -> None:
    for parts in (("123456", "1411443780", "437374425"), ("b", "a", "c", "x" * 500)):
        signer = WeChatSigner()
        signer.add_data(*parts)
        assert signature(*parts) == signer.signature
        assert signed(signer.signature, *reversed(parts))
        assert not signed(signer.signature, *parts, "more")


@pytest.mark.parametrize("message", MESSAGES)
def test_it_opens_what_we_seal(message: str) -> None:
    sealed = Seal(AES_KEY, APP_ID).seal(message.encode())
    proof = signature(TOKEN, "1411443780", "437374425", sealed)
    envelope = write({"ToUserName": "gh", "Encrypt": sealed}).decode()
    theirs = WeChatCrypto(TOKEN, AES_KEY, APP_ID)
    assert theirs.decrypt_message(envelope, proof, "1411443780", "437374425") == message
    with pytest.raises(InvalidAppIdException):
        WeChatCrypto(TOKEN, AES_KEY, "wx_of_another").decrypt_message(
            envelope, proof, "1411443780", "437374425"
        )


@pytest.mark.parametrize("message", MESSAGES)
def test_we_open_what_it_seals(message: str) -> None:
    theirs = WeChatCrypto(TOKEN, AES_KEY, APP_ID)
    fields = read(theirs.encrypt_message(message, "437374425", "1411443780").encode())
    parts = (TOKEN, fields["TimeStamp"], fields["Nonce"], fields["Encrypt"])
    assert signed(fields["MsgSignature"], *parts)
    assert Seal(AES_KEY, APP_ID).open(fields["Encrypt"]).decode() == message
    with pytest.raises(SealError):
        Seal(AES_KEY, "wx_of_another").open(fields["Encrypt"])


def test_both_read_the_same_in_a_message_and_it_reads_our_answers() -> None:
    body = (
        "<xml><ToUserName><![CDATA[gh]]></ToUserName><FromUserName><![CDATA[fromUser]]>"
        "</FromUserName><CreateTime>1348831860</CreateTime><MsgType><![CDATA[text]]></MsgType>"
        "<Content><![CDATA[积分 & more]]></Content><MsgId>1234567890123456</MsgId></xml>"
    )
    theirs, ours = parse_message(body), heard(read(body.encode()), "wechat")
    assert ours is not None
    assert (ours.address, ours.text, ours.source_id) == (
        theirs.source, theirs.content, str(theirs.id)
    )  # fmt: skip
    answer = {**read(body.encode()), "Content": "a < b & c ]]> 😀"}
    assert parse_message(write(answer).decode()).content == "a < b & c ]]> 😀"


async def test_our_simulated_wechat_takes_its_pictures_as_it_takes_ours() -> None:
    picture = media(64, 48, noise=8)
    weixin = Weixin()
    await weixin.start()
    ann = weixin.handset("oLVPpjqs9BhvzwPj5A-vTYAX3GLc")
    ours = Api(
        WeChatSettings(app_id=ACCOUNT, app_secret=APP_SECRET, token=TOKEN, api_url=weixin.url)
    )
    await ours.renew()

    def theirs() -> None:
        client = WeChatClient(ACCOUNT, APP_SECRET, access_token=f"token-{weixin.tokens}")
        client.API_BASE_URL = f"{weixin.url}/cgi-bin/"
        kept = client.media.upload("image", ("a.png", BytesIO(picture.octets), "image/png"))
        client.message.send_image(ann.number, kept["media_id"])
        client.message.send_text(ann.number, "您好")
        client._http.close()

    await asyncio.to_thread(theirs)
    errcode, media_id = await ours.upload(fit(picture, FRAME))
    assert errcode == 0
    assert (await ours.show(ann.number, media_id))[0] == 0
    assert (await ours.send(ann.number, "您好"))[0] == 0
    shown = [(it.text, it.picture.octets if it.picture else b"") for it in ann.arrived]
    assert shown == [("", picture.octets), ("您好", b"")] * 2
    await ours.end()
    await weixin.stop()
