"""A provider on the PyPI package `pycmpp` (CMPP 2.0): connects, submits what it is told, tries the
line, ends; in lines of JSON. With `--read` it reads SUBMITs in hexadecimal instead.

A program of its own, because that package is under the GPL, and its threads never end.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from pycmpp import Cmpp
from pycmpp.request import (
    ActiveTestRequestInstance,
    SubmitRequestInstance,
    TerminateRequestInstance,
)
from pycmpp.response import ConnectResponseInstance, SubmitResponseInstance
from pycmpp.utils import decode_headers


def say(**line: Any) -> None:
    print(json.dumps(line), flush=True)


def answer(client: Cmpp) -> bytes:
    """The next whole PDU."""
    head = client.so.recv(12)
    length = decode_headers(head)[0]
    return head + (client.so.recv(length - 12) if length > 12 else b"")


def talk(port: int, secret: str) -> None:
    client = Cmpp("127.0.0.1", port, "900001", secret, "10086", delivery=1)
    client.connect()
    client.auth()
    connected = ConnectResponseInstance()
    connected.resolve(answer(client))
    say(saw="connected", status=connected.status, version=connected.version)
    for line in sys.stdin:
        told = json.loads(line)
        client.submit(told["text"], told["phones"])
        for _ in range(told["parts"]):
            submitted = SubmitResponseInstance()
            submitted.resolve(answer(client))
            say(saw="submitted", status=submitted.status, id=str(submitted.msg_id))
    for request in (ActiveTestRequestInstance(), TerminateRequestInstance()):
        client.send(request.create())
        length, command_id, sequence = decode_headers(answer(client))
        say(saw=hex(command_id), same=sequence == request.seq_id, octets=length)
    client.close()


def read() -> None:
    for line in sys.stdin:
        found = SubmitRequestInstance().resolve(bytes.fromhex(line))
        say(**{k: v.strip("\0") if isinstance(v, str) else v for k, v in found.items()})


if __name__ == "__main__":
    if sys.argv[1:] == ["--read"]:
        read()
    else:
        talk(int(sys.argv[1]), sys.argv[2])
