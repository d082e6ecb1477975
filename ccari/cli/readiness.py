"""What would block every call of a campaign, or lose what is to be passed on, although the policy file is sound."""

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime

from ccari.config import Settings
from ccari.errors import ConfigError, SoundError
from ccari.forward.secret import WebhookSecrets
from ccari.policy import gate
from ccari.policy.declaration import Policy
from ccari.sounds.soundboard import open_soundboard
from ccari.store.opened import Store
from ccari.store.secrets import SecretStore

#: What makes the sounds of the policy in force.
BUILD = "ccari sounds build"


async def lacking(settings: Settings, store: Store, policy: Policy, build: str = BUILD) -> list[str]:
    """One line for each thing that is missing, with what to do about it.

    ``build`` is the command for sounds, where ``policy`` is not the one in force yet.
    """
    found = [*_secrets(settings, policy), *_sounds(settings, policy, build)]
    found += [line async for line in _registers(settings, store, policy)]
    found += [line async for line in _consents(store, policy)]
    return found


async def left_behind(store: Store, policy: Policy) -> list[str]:
    """One line for each campaign or controller that is not declared any more, though something still hangs on it."""
    return [
        f"{row['bars']} bars are on the campaign {row['campaign']!r} of {row['controller']!r} alone, which the policy does "
        "not declare: they bar nobody until it does"
        if row["bars"]
        else f"{row['requests']} requests to {row['controller']!r} are open, and the policy does not declare it: they can be "
        "neither extended nor forwarded"
        for row in await store.policies.left_behind(policy)
    ]


def _secrets(settings: Settings, policy: Policy) -> Iterator[str]:
    secrets, webhooks = SecretStore(settings.keys_dir), WebhookSecrets(settings.keys_dir)
    for controller in policy.controllers:
        try:
            secrets.check(controller.id)
        except ConfigError as error:
            yield f"controller {controller.id!r}: {error}"
        if controller.forward and controller.forward.url and not webhooks.path(controller.id).is_file():
            yield (
                f"controller {controller.id!r}: its requests cannot be signed: there is no "
                f"{webhooks.path(controller.id)}: ccari requests webhook-secret --controller {controller.id}"
            )


def _sounds(settings: Settings, policy: Policy, build: str) -> Iterator[str]:
    prompts = open_soundboard(settings)
    for campaign in policy.campaigns:
        try:
            prompts.scripts(policy.controller_of(campaign), campaign)
        except SoundError as error:
            # another fault than a missing sound, such as an unknown language, is not mended by a build
            fault = str(error)
            said = fault.removesuffix(BUILD) + build if fault.endswith(BUILD) else fault
            yield f"campaign {campaign.id!r}: {said}"


async def _registers(settings: Settings, store: Store, policy: Policy) -> AsyncIterator[str]:
    secrets, now = SecretStore(settings.keys_dir), datetime.now(UTC)
    copies = {row["register"]: row["as_of"] for row in await store.registers.ages()}
    for campaign in policy.campaigns:
        for register in policy.registers_of(campaign):
            as_of = copies.get(register.id)
            load = f"ccari registers import {register.id} FILE"
            if as_of is None:
                yield f"campaign {campaign.id!r}: the register {register.id!r} was never loaded: {load}"
            elif not secrets.has_register(register.id):
                yield (
                    f"campaign {campaign.id!r}: the secret of the register {register.id!r} is not in "
                    f"{settings.keys_dir}: restore it from the backup, or load the register anew: {load}"
                )
            elif gate.stale(register, as_of, now):
                yield (
                    f"campaign {campaign.id!r}: the copy of the register {register.id!r} is of {as_of:%Y-%m-%d}, "
                    f"and may be {register.max_age_days} days old: {load}"
                )


async def _consents(store: Store, policy: Policy) -> AsyncIterator[str]:
    for campaign in policy.campaigns:
        if campaign.needs_consent and not await store.policies.has_consents(campaign):
            yield (
                f"campaign {campaign.id!r}: no number of {campaign.controller!r} has consented to "
                f"{campaign.asks_consent_to!r} by {campaign.consent_channel}: ccari consents import FILE"
            )
