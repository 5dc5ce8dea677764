"""Serves a simulated carrier: `python -m channels.carriers --port 2775`."""

from __future__ import annotations

import argparse
import asyncio
import logging

from channels.carriers.handset import answering
from channels.carriers.smsc import Change, Smsc, SmscSettings


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m channels.carriers", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=2775)
    parser.add_argument("--system-id", default="outreach")
    parser.add_argument("--password", default="secret")
    parser.add_argument("--message-ids", choices=("decimal", "hex"), default="decimal")
    parser.add_argument("--receipt-delay-s", type=float, default=0.05)
    parser.add_argument("--throttle-per-s", type=float, help="over so many submits, throttle")
    parser.add_argument("--delay-s", type=float, default=0.0, help="how long every answer waits")
    parser.add_argument("--drop-responses", type=float, default=0.0, help="0 to 1")
    parser.add_argument("--drop-receipts", type=float, default=0.0, help="0 to 1")
    parser.add_argument(
        "--answer",
        nargs=2,
        action="append",
        default=[],
        metavar=("PATTERN", "WORDS"),
        help="handsets answer WORDS to what PATTERN is found in; may be given several times",
    )
    return parser.parse_args()


async def serve(options: argparse.Namespace) -> None:
    """The carrier runs until it is cancelled, and says who comes and goes."""
    smsc = Smsc(
        SmscSettings(
            accounts={options.system_id: options.password},
            host=options.host,
            port=options.port,
            message_ids=options.message_ids,
            receipt_delay_s=options.receipt_delay_s,
        ),
        script=answering(options.answer) if options.answer else None,
    )
    faults = smsc.faults
    faults.throttle_per_s, faults.delay_s = options.throttle_per_s, options.delay_s
    faults.drop_responses, faults.drop_receipts = options.drop_responses, options.drop_receipts

    def note(change: Change) -> None:
        if change.kind in ("bound", "lost"):
            logging.info("%s, connections=%d", change.kind, len(smsc.customers))

    smsc.on_change.append(note)
    await smsc.start()
    logging.info("listening on %s:%d", options.host, smsc.port)
    try:
        await asyncio.Event().wait()
    finally:
        await smsc.stop()


def main() -> None:
    """Runs until interrupted."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        asyncio.run(serve(_options()))
    except KeyboardInterrupt:
        logging.info("stopped")


if __name__ == "__main__":
    main()
