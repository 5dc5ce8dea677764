"""Memory: Python's cycle collector, told how our processes live."""

from __future__ import annotations

import gc


def calm_collector() -> None:
    """The cycle collector leaves alone what was loaded at the start, and looks less often.

    A turn makes some ten thousand values and drops them all: reference counts free them, and by
    default the collector would walk through them dozens of times (15 of 84 µs per message). What
    does run in circles (tasks, exceptions) is still collected, every 100,000 values.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 20, 50)
