"""Which country a telephone number is of, when it does not say so itself."""

from __future__ import annotations

import os

from orchestrator.core.errors import OutreachError
from orchestrator.runtime.settings import Settings, calling_code


def usual_country(given: str | None, settings: Settings) -> str:
    """The calling code that completes numbers without one: as given (`--country`), else as the
    installation has it (OUTREACH_COUNTRY), else as its SMS channel has it for those who write
    (`country=` in the URL); empty if nobody says. Raises OutreachError if what is given is none."""
    if given:
        try:
            return calling_code(given)
        except ValueError as error:
            raise OutreachError(f"--country {given}: {error}", "write it like 86 or 44") from None
    return settings.country or _of_sms(settings)


def _of_sms(settings: Settings) -> str:
    # Who names the country need not wait for the channels to load.
    from channels.sms.settings import SmsSettings
    from orchestrator.runtime.channels import configured

    try:
        found = configured(settings, os.environ).get("sms")
    except OutreachError:
        return ""  # a password that this shell does not know, say: nobody asked for the channels
    if found is None or not isinstance(found.settings, SmsSettings):
        return ""
    return found.settings.accounts()[0].country
