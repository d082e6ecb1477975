"""The checks when the service starts, so that no callee is the first to meet a fault."""

from datetime import UTC, datetime
from itertools import product

import structlog

from ccari.app.parts import Parts
from ccari.errors import CcariError, ConfigError, SoundError
from ccari.keyring.files import check_folder
from ccari.keyring.journal_key import JournalKey
from ccari.keyring.secrets import SecretStore
from ccari.policy.calendars import widely_kept
from ccari.policy.declaration import Policy
from ccari.recordings.evidence.keys import SigningKeys
from ccari.recordings.recipients import RecipientFile

_log = structlog.get_logger()


async def check_policy(parts: Parts) -> None:
    """Check that no secret or sound is missing, and that every secret is the right one.

    What a campaign lacks is logged, and the gate blocks its calls until it is there. The service starts
    anyway: the calls of other campaigns, talks that go on, requests and retention need it, even if no
    campaign can call.

    Raises
    ------
    ConfigError
        If no controller has its secret. The keys folder itself is then missing or wrong, and nothing in it may be used.
    """
    policy, secrets = parts.book.policy, parts.secrets
    if policy is None:
        _log.warning(
            "no_policy", advice="every call is blocked until you apply a policy: ccari policy apply FILE"
        )
        return
    unfit = _without_secret(secrets, policy)
    this_year = datetime.now(UTC).year
    for country, year in product({each.country for each in policy.controllers}, (this_year, this_year + 1)):
        # loading a country's holidays takes 0.1 s, too long in the middle of a call
        widely_kept(country, year)
    unloaded = _unreadable_registers(secrets, policy)
    for campaign in policy.campaigns:
        found = unfit.get(campaign.controller)
        reasons = [found, *(unloaded.get(each.id) for each in policy.registers_of(campaign))]
        try:
            await parts.prompts.prepare(policy.controller_of(campaign), campaign)
        except SoundError as error:
            reasons.append(error)
        for reason in filter(None, reasons):
            _log.error("gate_unfit", campaign=campaign.id, reason=str(reason))


def _without_secret(secrets: SecretStore, policy: Policy) -> dict[str, CcariError]:
    """By controller: why its secret is unusable. Raises ConfigError if that is so for all of them."""
    found: dict[str, CcariError] = {}
    for controller in policy.controllers:
        try:
            secrets.check(controller.id)
        except ConfigError as error:
            found[controller.id] = error
    if found and len(found) == len(policy.controllers):
        raise next(iter(found.values()))
    return found


def _unreadable_registers(secrets: SecretStore, policy: Policy) -> dict[str, CcariError]:
    found: dict[str, CcariError] = {}
    for register in policy.registers:
        try:
            # a register that was never loaded, or has lost its folder, counts as stale
            if secrets.has_register(register.id):
                secrets.register_keys(register.id)
        except ConfigError as error:
            found[register.id] = error
    return found


def check_keys(parts: Parts) -> None:
    """Check that nobody else can read the key files, and that none is missing that the service needs."""
    policy, settings = parts.book.policy, parts.settings
    folder = settings.keys_dir
    check_folder(folder)
    if policy is None:
        return
    if policy.recorded and settings.encrypts_recordings:
        RecipientFile(folder).recipients()
    SigningKeys(folder).newest()
    JournalKey(folder).read()
