"""Every table, and what becomes of it when somebody asks for what we hold of them, or to be
forgotten. A test holds this against the database's catalogue, so that a table or a column that is
added later cannot be forgotten."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from orchestrator.store import dossier


class Treatment(Struct, frozen=True):
    """What becomes of a table. `exported` is the query that reads what is somebody's, or ''; then
    `because` says why nothing is. `left_out` are columns that are not exported, with the reason.
    `erased` says what an erasure does, `kept` why it does nothing; one of both."""

    exported: str = ""
    because: str = ""
    left_out: Mapping[str, str] = {}
    erased: str = ""
    kept: str = ""


_SHARD = "where we keep it, not what we know"
_TRIES = "how many turns about it failed in a row"
_WHOSE = "whose it is: they are the one who asked"
_NOBODY = "nothing in it is about a person"


def _impersonal(why: str = _NOBODY) -> Treatment:
    return Treatment(because=why, kept=why)


TABLES: Mapping[str, Treatment] = {
    "subscribers": Treatment(dossier.SUBSCRIBER, left_out={"shard": _SHARD}, erased="deleted"),
    "addresses": Treatment(
        dossier.ADDRESSES, left_out={"subscriber_id": _WHOSE}, erased="deleted; hashes remain"
    ),
    "consent_records": Treatment(
        dossier.CONSENTS, left_out={"subscriber_id": _WHOSE}, erased="deleted"
    ),
    "enrollments": Treatment(
        dossier.ENROLLMENTS,
        left_out={"subscriber_id": _WHOSE, "shard": _SHARD, "tries": _TRIES},
        erased="ended; kept for reports, without a person",
    ),
    "past_enrollments": Treatment(
        dossier.PAST_ENROLLMENTS,
        left_out={"subscriber_id": _WHOSE, "shard": _SHARD, "tries": _TRIES},
        kept="names a journey and times; without the subscriber's row there is no person",
    ),
    "messages": Treatment(
        dossier.MESSAGES,
        left_out={"subscriber_id": _WHOSE, "attempt_id": "which batch it went with"},
        erased="emptied of words, addresses and carriers' ids; kept for reports",
    ),
    "lives": Treatment(
        dossier.LIVES,
        left_out={"subscriber_id": _WHOSE, "id": "the order of rows"},
        erased="deleted",
    ),
    "events": Treatment(
        dossier.EVENTS, left_out={"subscriber_id": _WHOSE, "shard": _SHARD}, erased="deleted"
    ),
    "usage_months": Treatment(dossier.USAGE, left_out={"subscriber_id": _WHOSE}, erased="deleted"),
    "suppressions": Treatment(
        dossier.SUPPRESSIONS, left_out={"subscriber_id": _WHOSE}, erased="deleted"
    ),
    "failures": Treatment(
        dossier.FAILURES,
        left_out={"subscriber_id": _WHOSE, "id": "the order of rows"},
        erased="deleted",
    ),
    "accounts": Treatment(
        dossier.ACCOUNTS,
        left_out={"subscriber_id": _WHOSE, "shard": _SHARD, "tries": _TRIES},
        erased="closed: what was there is forfeited; kept for the accounts, without a person",
    ),
    "entries": Treatment(
        dossier.ENTRIES,
        left_out={"subscriber_id": _WHOSE},
        erased="keys, which may hold ids from outside, are numbers now; kept for the accounts",
    ),
    "lots": Treatment(dossier.LOTS, left_out={"subscriber_id": _WHOSE}, erased="deleted"),
    "holds": Treatment(
        dossier.HOLDS,
        left_out={"subscriber_id": _WHOSE},
        erased="open ones released, keys are numbers now; kept for the accounts and the stock",
    ),
    "codes": Treatment(
        dossier.CODES,
        left_out={"subscriber_id": _WHOSE, "code_hash": "a secret between us and whoever holds it"},
        erased="deleted: an unused one is worth nothing any more",
    ),
    "desk_items": Treatment(
        dossier.DESK_ITEMS, left_out={"subscriber_id": _WHOSE}, erased="deleted"
    ),
    "errands": Treatment(
        dossier.ERRANDS,
        left_out={
            "subscriber_id": _WHOSE,
            "id": "the order of rows",
            "batch": "which messages were asked about together",
            "asked_by": "who of us asked is the operator's",
            "taken_by": "which process saw to it",
            "taken_until": "how long that had for it",
        },
        erased="deleted",
    ),
    "invitations": Treatment(
        dossier.INVITATIONS,
        left_out={
            "subscriber_id": _WHOSE,
            "code_hash": "a secret between us and whoever holds it",
            "used_by": "the keyed hash of an address, which is told with the others",
        },
        erased="deleted",
    ),
    "listed": Treatment(
        dossier.LISTS,
        left_out={"version": "which load it came with", "number": "told as `address`"},
        kept="a register of whoever keeps it (do-not-disturb): taking a number off it would let "
        "us write to them; it goes with the next load, once its keeper has taken it off",
    ),
    "acts": Treatment(
        dossier.ACTS,
        left_out={
            "entry": "told as `at` and `what`; who of us did it is the operator's",
            "hash": "of the chain, not of the person",
            "seal": "of the chain, not of the person",
        },
        kept="names a subscriber by our number only, which is nobody's after an erasure",
    ),
    "parked_receipts": Treatment(
        dossier.PARKED,
        left_out={"id": "the order of rows", "riders": "which channels share the connection"},
        kept="a carrier's id and a state, gone after three days",
    ),
    "versions": Treatment(dossier.VERSIONS, left_out={"text": "the author's work"}, kept=_NOBODY),
    "trigger_waits": Treatment(
        dossier.TRIGGER_WAITS, left_out={"slot": _SHARD}, erased="deleted; nobody's fires nothing"
    ),
    "trigger_states": Treatment(
        dossier.TRIGGER_STATES, left_out={"slot": _SHARD}, erased="deleted"
    ),
    "trigger_firings": Treatment(
        dossier.TRIGGER_FIRINGS, left_out={"slot": _SHARD}, erased="deleted"
    ),
    "set_aside_events": Treatment(
        dossier.SET_ASIDE,
        left_out={"id": "the order of rows", "digest": "of the report, which is told"},
        erased="deleted, where the report says whose it is; others go with retention",
    ),
    "sources": Treatment(
        because="ids of reports that are exported with their events; without one they are nobody's",
        erased="ids with an address or the key in them are deleted; others go with retention",
    ),
    "erasures": Treatment(
        because="of those in it nothing is left to export", kept="that a number is nobody's"
    ),
    "forgotten_addresses": Treatment(
        because="keyed hashes: whose they are cannot be told without the address",
        kept="it is what keeps the opt-out",
    ),
    "invitation_tries": Treatment(
        because="keyed hashes: whose they are cannot be told without the address",
        kept="it is forgotten within an hour of the next wrong code that anybody says",
    ),
    "usage_comparisons": _impersonal(),
    "usage_regions": Treatment(
        because="how many people of a region use how much: whose a figure is, it does not tell",
        kept="counted anew every hour, without whoever is gone",
    ),
    "attempts": _impersonal("batches of messages: channel, time, which gateway"),
    "paces": _impersonal(),
    "halts": _impersonal(),
    "lists": _impersonal("which lists there are; who stands on them is in `listed`"),
    "matching": _impersonal("how far matchers have come"),
    "media": _impersonal("pictures of authors, kept while an applied project names them"),
    "migrations": _impersonal(),
    "moves": _impersonal("how a journey's people follow an edit: versions, steps, how many"),
    "pictures": _impersonal(),
    "projects": _impersonal("what authors wrote, and which operator applied it"),
    "retention_passes": _impersonal(),
    "schedules": _impersonal(),
    "stock": _impersonal(),
}
"""Every table by name."""
