"""Checks what a policy's calls and requests need besides the policy: secrets, keys, sounds, registers, consents.

``ccari policy`` checks a policy file before it is applied, ``ccari doctor`` the policy in force.
"""

import os
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from ccari.cli.doctor.findings import Finding, State, fault, in_daemon_thread, ok, refused, warning
from ccari.config import Settings
from ccari.counting import counted
from ccari.errors import ConfigError, SoundError
from ccari.forward.folder import is_mount_point
from ccari.forward.secret import WebhookSecrets
from ccari.keyring.journal_key import JournalKey
from ccari.keyring.journal_key import check as journal_check
from ccari.keyring.secrets import UNWRITTEN, Holder, SecretStore
from ccari.policy import gate, wording
from ccari.policy.campaign import Campaign
from ccari.policy.declaration import Policy
from ccari.policy.parties import Controller, Register
from ccari.recordings.evidence.keys import SigningKeys
from ccari.recordings.recipients import RecipientFile
from ccari.sounds.catalogue import Catalogue
from ccari.sounds.soundboard import Soundboard, open_soundboard, shipped_sounds
from ccari.store.opened import Store

#: The command that builds the sounds of the policy in force.
BUILD = "ccari sounds build"
#: How long before a register's copy becomes too old, which blocks its campaigns, there is a warning.
SOON = timedelta(days=3)
_READABLE = "let ccari's user read it"
_RESTORE = "ccari keys init if the controller is new, otherwise restore it from the backup: with a new secret, nobody would be barred"


def _whose(campaign: Campaign) -> str:
    return f"campaign {campaign.id!r}"


@dataclass(frozen=True, slots=True)
class Need:
    """One thing that is needed. If it is not ``met``, the calls or requests of those in ``whose`` fail."""

    finding: Finding
    whose: tuple[str, ...]
    met: bool = True


async def lacking(settings: Settings, store: Store, policy: Policy, build: str = BUILD) -> list[str]:
    """One line for each campaign or controller that lacks something, with what to do about it.

    ``build``: the command for sounds, if ``policy`` is not in force yet.
    """
    board = open_soundboard(settings)
    kept = await known_secrets(settings, store)
    missing = await store.key_versions.missing(kept)
    needs = [*secrets(settings, kept, policy, missing), *keys(settings, policy)]
    needs += [*(sounds(board, policy, each, build) for each in policy.campaigns)]
    needs += [*await registers(settings, store, policy, kept), *await consents(store, policy)]
    return [
        f"{whose}: {need.finding.found}: {need.finding.advice}"
        for need in needs
        if not need.met
        for whose in need.whose
    ]


def unspoken(policy: Policy) -> list[str]:
    """One line for each campaign with a language that has no prompts, so that no sounds can be built for it. Needs no sounds itself."""
    catalogue = Catalogue.load(shipped_sounds() / "catalogue.toml")
    return [
        f"{_whose(campaign)}: {fault}"
        for campaign in policy.campaigns
        if (fault := _wordless(catalogue, policy.controller_of(campaign), campaign)) is not None
    ]


def _wordless(catalogue: Catalogue, controller: Controller, campaign: Campaign) -> SoundError | None:
    try:
        for language in campaign.spoken:
            wording.prompts(controller, campaign, catalogue, language)
    except SoundError as error:
        return error
    return None


async def left_behind(store: Store, policy: Policy) -> list[str]:
    """One line for each campaign or controller that is no longer declared, but still has bars or open requests."""
    return [_left_behind(**row) for row in await store.policies.left_behind(policy)]


def _left_behind(controller: str, campaign: str, bars: int, requests: int) -> str:
    if requests:
        effect = f"{'it' if requests == 1 else 'they'} can be neither extended nor forwarded"
        return f"{counted(requests, 'open request is', 'open requests are')} to {controller!r}, which the policy does not declare: {effect}"
    if campaign:
        effect = f"{'it has' if bars == 1 else 'they have'} no effect until it does"
        return (
            f"{counted(bars, 'suppression is', 'suppressions are')} only for the campaign {campaign!r} of {controller!r}, "
            f"which the policy does not declare: {effect}"
        )
    # somebody has changed its id: people who barred themselves would be called for the same controller
    return (
        f"{counted(bars, 'suppression is', 'suppressions are')} of {controller!r}, which the policy does not declare: if that controller has "
        f"another id now, {'it bars' if bars == 1 else 'they bar'} nobody there: give it its old id again; if it has left, its data are to be "
        f"handed over and deleted (Art 28(3)(g)): ccari controllers delete {controller}"
    )


async def known_secrets(settings: Settings, store: Store) -> SecretStore:
    """The secrets. They refuse to work if a secret is lost that something is stored under. Changes nothing."""
    return await store.key_versions.vouch(SecretStore(settings.keys_dir), learn=False)


def secrets(
    settings: Settings, kept: SecretStore, policy: Policy, missing: Sequence[tuple[Holder, int]]
) -> Iterator[Need]:
    """Each controller's secret: without it its bars are not recognised, so all its calls are blocked. ``missing``: of
    :meth:`ccari.store.key_versions.KeyVersions.missing`.
    """
    for controller in policy.controllers:
        check, whose = f"secret {controller.id}", (f"controller {controller.id!r}",)
        try:
            newest = kept.keys(controller.id)[-1]
        except ConfigError as error:
            # its own advice covers a missing or damaged secret; this advice is for a file that cannot be read
            yield Need(refused(check, error, _RESTORE), whose, met=False)
        else:
            lacks = [version for holder, version in missing if holder == Holder("controller", controller.id)]
            if lacks:
                found = f"version {lacks[0]} has been made, and is not in {kept.folder / controller.id}: its calls are blocked"
                yield Need(
                    fault(check, found, f"copy it from the node where it was made; {UNWRITTEN}"),
                    whose,
                    met=False,
                )
            else:
                yield Need(ok(check, f"version {newest.version} is in use"), whose)
        yield from _forwarding(settings, controller, whose)


def keys(settings: Settings, policy: Policy) -> Iterator[Need]:
    """The keys that `ccari serve` needs to start: without them recordings would not be encrypted, evidence not signed, or a right that is
    pressed while the database is away be lost.
    """
    if policy.recorded and settings.encrypts_recordings:
        check, whose = "recipients", tuple(_whose(each) for each in policy.recorded)
        try:
            count = len(RecipientFile(settings.keys_dir).recipients())
        except ConfigError as error:
            yield Need(refused(check, error, _READABLE), whose, met=False)
        else:
            yield Need(ok(check, f"recordings are encrypted to {count}"), whose)
    check, whose = "evidence key", ("every campaign",)
    try:
        newest = SigningKeys(settings.keys_dir).newest()
    except ConfigError as error:
        yield Need(refused(check, error, _READABLE), whose, met=False)
    else:
        yield Need(ok(check, f"version {newest.version}, {newest.fingerprint}, signs"), whose)
    check = "journal key"
    try:
        key = JournalKey(settings.keys_dir).read()
    except ConfigError as error:
        yield Need(refused(check, error, _READABLE), whose, met=False)
    else:
        yield Need(ok(check, f"{journal_check(key)} encrypts rights that wait for the database"), whose)


def _forwarding(settings: Settings, controller: Controller, whose: tuple[str, ...]) -> Iterator[Need]:
    check, forward = f"forwarding {controller.id}", controller.forward
    if forward is None:
        return
    if forward.url is not None:
        finding = _signing(check, WebhookSecrets(settings.keys_dir), controller)
        yield Need(finding, whose, met=finding.state is State.OK)
    if forward.folder is not None:
        folder = Path(forward.folder)
        if is_mount_point(folder):
            finding = fault(check, f"{folder} is a mount point: without its disk, files would be lost in it, so requests are not passed on",
                         "make a folder in it, and name that in the policy")  # fmt: skip
            yield Need(finding, whose, met=False)
        elif folder.is_dir() and os.access(folder, os.W_OK | os.X_OK):
            yield Need(ok(check, f"{folder} can be written"), whose)
        else:
            finding = fault(check, f"ccari cannot write to the folder {folder}: requests are not passed on",
                         f"make it, or mount its disk, and let ccari's user write there: ls -ld {shlex.quote(str(folder))}")  # fmt: skip
            yield Need(finding, whose, met=False)


def _signing(check: str, kept: WebhookSecrets, controller: Controller) -> Finding:
    try:
        kept.read(controller.id)
    except ConfigError as error:
        finding = refused(check, error, _READABLE)
        return fault(check, f"its requests cannot be signed: {finding.found}", finding.advice)
    return ok(check, "there is a secret to sign messages with")


def sounds(board: Soundboard, policy: Policy, campaign: Campaign, build: str = BUILD) -> Need:
    """Whether every prompt that the campaign's calls may play exists, unchanged since it was built."""
    check, whose = f"sounds {campaign.id}", (_whose(campaign),)
    try:
        scripts = board.scripts(policy.controller_of(campaign), campaign)
    except SoundError as error:
        finding = refused(check, error, _READABLE)
        advice = finding.advice
        if advice.endswith(BUILD):
            advice = advice.removesuffix(BUILD) + build
        return Need(fault(check, finding.found, advice), whose, met=False)
    count = sum(len(script.sounds) for script in scripts.values())
    return Need(ok(check, f"{count} in {', '.join(scripts)}"), whose)


async def registers(settings: Settings, store: Store, policy: Policy, kept: SecretStore) -> list[Need]:
    """The registers that campaigns use: a copy that is missing or too old blocks all their calls.

    One for each register and maximum age: the rules of a campaign's country may require a newer copy.
    """
    copies = {row["register"]: row for row in await store.registers.ages()}
    needed: dict[Register, list[str]] = {}
    for campaign in policy.campaigns:
        for register in policy.registers_of(campaign):
            needed.setdefault(register, []).append(_whose(campaign))
    return [
        await _register(settings, kept, register, copies.get(register.id), tuple(whose))
        for register, whose in needed.items()
    ]


async def _register(
    settings: Settings,
    kept: SecretStore,
    register: Register,
    row: Mapping[str, Any] | None,
    whose: tuple[str, ...],
) -> Need:
    check, load = f"register {register.id}", f"ccari registers import {register.id} FILE"
    if row is None:
        return Need(
            fault(check, f"the register {register.id!r} has never been loaded", load), whose, met=False
        )
    try:
        if not await in_daemon_thread(lambda: kept.has_register(register.id)):
            missing = fault(check, f"the secret of the register {register.id!r} is not in {settings.keys_dir}",
                         f"restore it from the backup, or load the register again: {load}")  # fmt: skip
            return Need(missing, whose, met=False)
        await in_daemon_thread(lambda: kept.register_keys(register.id))
    except ConfigError as error:
        return Need(refused(check, error, load), whose, met=False)
    as_of, now = row["as_of"], datetime.now(UTC)
    age = f"the copy of the register {register.id!r} is dated {as_of:%Y-%m-%d %H:%M} UTC, and may be at most {register.max_age_days} days old"
    if gate.stale(register, as_of, now):
        wrong = "dated in the future" if as_of > now else "too old"
        return Need(fault(check, f"{age}: it is {wrong}", load), whose, met=False)
    if gate.stale(register, as_of, now + SOON):
        until = as_of + timedelta(days=register.max_age_days)
        return Need(
            warning(check, f"{age}: calls will be blocked from {until:%Y-%m-%d %H:%M} UTC on", load), whose
        )
    return Need(ok(check, f"{age}: {counted(row['entries'], 'number')}"), whose)


async def consents(store: Store, policy: Policy) -> list[Need]:
    """Whether there are consents for each campaign that needs them: without any it can call nobody."""
    return [
        await _consents(store, campaign, (_whose(campaign),))
        for campaign in policy.campaigns
        if campaign.needs_consent
    ]


async def _consents(store: Store, campaign: Campaign, whose: tuple[str, ...]) -> Need:
    check = f"consents {campaign.id}"
    if await store.policies.has_consents(campaign):
        return Need(ok(check, "consents have been given"), whose)
    # only a warning in doctor: it is not the installation's fault that nobody has consented yet
    none = warning(check, f"no number of {campaign.controller!r} has consented to {campaign.asks_consent_to!r} "
                        f"by {campaign.consent_channel}", "ccari consents import FILE")  # fmt: skip
    return Need(none, whose, met=False)
