"""The policy in force, and what each of its campaigns and controllers needs, but for sounds."""

import os
import shlex
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ccari.cli.doctor.findings import Finding, apart, doubt, fault, refused, well
from ccari.cli.readiness import left_behind
from ccari.config import Settings
from ccari.errors import ConfigError
from ccari.forward.secret import WebhookSecrets
from ccari.policy import gate
from ccari.policy.declaration import Policy
from ccari.policy.parties import Controller, Register
from ccari.store.opened import Store
from ccari.store.policies import Applied
from ccari.store.secrets import SecretStore
from ccari.store.untouched import schema

#: A register's copy that will be too old by then is told of before its campaigns stop.
SOON = timedelta(days=3)
_RESTORE = "ccari keys init if it is new, else restore it from the backup: another one would bar nobody"


async def in_force(store: Store) -> Applied | None:
    """The newest revision; None too where there is no schema yet. Raises StoreError."""
    return await store.policies.applied() if (await schema(store.database)).applied else None


def policy(applied: Applied | None) -> Iterator[Finding]:
    """Raises StoreError if this ccari does not take the policy."""
    if applied is None:
        yield fault("policy", "none was ever applied: every call is blocked", "ccari policy apply FILE")
        return
    found = applied.policy()
    yield well("policy", f"revision {applied.number}, of {applied.applied_at:%Y-%m-%d %H:%M} UTC: "
                         f"controllers {len(found.controllers)}, campaigns {len(found.campaigns)}")  # fmt: skip


async def strays(store: Store, policy: Policy) -> list[Finding]:
    """What hangs on a campaign or controller that is not declared any more."""
    advice = "declare it again, if it was left out by mistake: ccari policy list tells the earlier revisions"
    return [doubt("policy", each, advice) for each in await left_behind(store, policy)]


def secrets(settings: Settings, policy: Policy) -> Iterator[Finding]:
    """Without its secret no bar of a controller is recognised, so each of its calls is blocked."""
    kept = SecretStore(settings.keys_dir)
    for controller in policy.controllers:
        check = f"secret {controller.id}"
        try:
            newest = kept.keys(controller.id)[-1]
        except ConfigError as error:
            # its own advice is for one that is missing or damaged; what is left is a file that cannot be read
            yield refused(check, error, _RESTORE)
        else:
            yield well(check, f"version {newest.version} is written with")
        yield from _forwarding(settings, controller)


def _forwarding(settings: Settings, controller: Controller) -> Iterator[Finding]:
    check, forward = f"forwarding {controller.id}", controller.forward
    if forward is None:
        return
    if forward.url is not None:
        try:
            WebhookSecrets(settings.keys_dir).read(controller.id)
        except ConfigError as error:
            yield refused(check, error, "let ccari's user read it")
        else:
            yield well(check, "there is a secret to sign with")
    if forward.folder is not None:
        folder = Path(forward.folder)
        if folder.is_dir() and os.access(folder, os.W_OK | os.X_OK):
            yield well(check, f"{folder} can be written")
        else:
            yield fault(check, f"{folder} is no folder that ccari can write: requests are not passed on",
                        f"make it, or mount its disk, and let ccari's user write there: ls -ld {shlex.quote(str(folder))}")  # fmt: skip


async def registers(settings: Settings, store: Store, policy: Policy) -> list[Finding]:
    """Those that campaigns need: a copy that is missing or too old blocks each of their calls."""
    copies = {row["register"]: row for row in await store.registers.ages()}
    # the strictest of the campaigns that need it counts
    needed: dict[str, Register] = {}
    for campaign in policy.campaigns:
        for each in policy.registers_of(campaign):
            known = needed.setdefault(each.id, each)
            needed[each.id] = min(known, each, key=lambda one: one.max_age_days)
    kept, now, found = SecretStore(settings.keys_dir), datetime.now(UTC), []
    for register in needed.values():
        check, load = f"register {register.id}", f"ccari registers import {register.id} FILE"
        row = copies.get(register.id)
        if row is None:
            found.append(fault(check, "it was never loaded: its campaigns' calls are blocked", load))
            continue
        try:
            await apart(lambda each=register.id: kept.register_keys(each))  # type: ignore[misc]
        except ConfigError as error:
            found.append(refused(check, error, load))
            continue
        found.append(_age(register, row["as_of"], row["entries"], now, load))
    return found


def _age(register: Register, as_of: datetime, entries: int, now: datetime, load: str) -> Finding:
    told = f"{entries} numbers as of {as_of:%Y-%m-%d}, and may be {register.max_age_days} days old"
    check = f"register {register.id}"
    if gate.stale(register, as_of, now):
        wrong = "dated ahead" if as_of > now else "too old"
        return fault(check, f"{told}: it is {wrong}, and its campaigns' calls are blocked", load)
    if gate.stale(register, as_of, now + SOON):
        until = as_of + timedelta(days=register.max_age_days)
        return doubt(check, f"{told}: calls are blocked from {until:%Y-%m-%d %H:%M} UTC on", load)
    return well(check, told)


async def consents(store: Store, policy: Policy) -> list[Finding]:
    """A campaign that needs consents where there is none can call nobody."""
    return [
        well(f"consents {each.id}", "there are some")
        if await store.policies.has_consents(each)
        else doubt(f"consents {each.id}", f"no number of {each.controller} has consented to {each.asks_consent_to} "
                                          f"by {each.consent_channel}: its calls are blocked",
                   "ccari consents import FILE")
        for each in policy.campaigns
        if each.needs_consent
    ]  # fmt: skip
