"""Everything that takes octets from outside, each as a function of octets that returns if all is
well. An error that is not ours, an answer that nothing could store, or a length without a bound is
an exception; the time and the memory it takes are for whoever calls."""

from __future__ import annotations

from collections.abc import Callable

from tests.hostile.targets import callbacks, documents, gateways, smpp

LONGEST = 0x12000
"""Of one input: a little more than the longest PDU we take."""

TARGETS: dict[str, Callable[[bytes], None]] = {
    **smpp.TARGETS,
    **gateways.TARGETS,
    **documents.TARGETS,
    **callbacks.TARGETS,
}
SEEDS: dict[str, Callable[[], list[bytes]]] = {
    **smpp.SEEDS,
    **gateways.SEEDS,
    **documents.SEEDS,
    **callbacks.SEEDS,
}
"""What honest carriers send, for each target."""

WRITTEN = frozenset({"pap", "mm7_callback", "mm7_answer", *callbacks.TARGETS} - {"seals"})
"""Those whose octets are mostly words: XML, JSON, forms."""
