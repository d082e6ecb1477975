"""What is found out before the service begins, rather than by the first callee."""

from datetime import UTC, datetime

import structlog

from ccari.app.parts import Parts
from ccari.errors import SoundError
from ccari.keyring.files import check_folder
from ccari.policy.calendars import public_holidays
from ccari.recordings.evidence.keys import SigningKeys
from ccari.recordings.recipients import RecipientFile
from ccari.store.journal_key import JournalKey

_log = structlog.get_logger()


async def check_policy(parts: Parts) -> None:
    """Find out before the first callee does that a secret or a sound is missing, or a secret another one.

    Raises
    ------
    ConfigError
        Of a secret. A campaign that lacks a sound is logged: the gate blocks its calls until the sound is there, and the
        others' calls, the talks that go on, and requests and retention all want a service, be there no campaign left.
    """
    policy, secrets = parts.book.policy, parts.secrets
    if policy is None:
        _log.warning("no_policy", advice="every call is blocked until: ccari policy apply FILE")
        return
    for controller in policy.controllers:
        secrets.check(controller.id)
        # a country's holidays take 0.1 s to load, which is too long in the middle of a call
        public_holidays(controller.country, datetime.now(UTC).year)
    for register in policy.registers:
        # one that was never loaded, or has lost its folder, counts as stale
        if secrets.has_register(register.id):
            secrets.register_keys(register.id)
    for campaign in policy.campaigns:
        try:
            parts.prompts.scripts(policy.controller_of(campaign), campaign)
            await parts.prompts.keep(campaign)
        except SoundError as error:
            _log.error("gate_unfit", campaign=campaign.id, reason=str(error))


def check_keys(parts: Parts) -> None:
    """Of the files of keys: that nobody else can read them, and that none is missing which the service needs."""
    policy, settings = parts.book.policy, parts.settings
    folder = settings.keys_dir
    check_folder(folder)
    if policy is None:
        return
    if policy.recorded and settings.encrypts_recordings:
        RecipientFile(folder).recipients()
    SigningKeys(folder).newest()
    JournalKey(folder).read()
