"""Which country a telephone number is of, when it does not say so itself."""

from __future__ import annotations

from orchestrator.cli.sms import sms_settings
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
    if settings.country:
        return settings.country
    sms = sms_settings(settings)
    return sms.accounts()[0].country if sms is not None else ""
