"""Readiness, told to whoever started us: systemd (`Type=notify`), or `outreach up`.

The protocol is sd_notify(3): a datagram to the Unix socket that NOTIFY_SOCKET names.
"""

from __future__ import annotations

import os
import socket


def tell(state: str) -> None:
    """Whoever started us knows: `READY=1` or `STOPPING=1`. Nothing happens if nobody asked."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    if address.startswith("@"):  # the abstract namespace of unix(7)
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notifier:
        try:
            notifier.connect(address)
            notifier.send(state.encode())
        except OSError:
            return  # nobody listens any more
