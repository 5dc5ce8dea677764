"""What the installation's SMS channel is set to, for commands that only want to know."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from orchestrator.core.errors import OutreachError
from orchestrator.runtime.settings import Settings

if TYPE_CHECKING:
    from channels.sms.settings import SmsSettings


def languages(settings: Settings) -> tuple[str, ...]:
    """The languages in whose national tables SMS may be written."""
    there = (settings.channels or settings.project / "channels.yaml").exists()
    sms = sms_settings(settings) if there else None
    return () if sms is None else sms.languages


def sms_settings(settings: Settings) -> SmsSettings | None:
    """The settings of the channel `sms`, if there is one over SMPP and they can be read."""
    # Who does not ask need not wait for the channels to load.
    from channels.sms.settings import SmsSettings
    from orchestrator.runtime.channels import configured

    try:
        found = configured(settings, os.environ).get("sms")
    except OutreachError:
        return None  # a password that this shell does not know, say: nobody asked for the channels
    if found is None or not isinstance(found.settings, SmsSettings):
        return None
    return found.settings
