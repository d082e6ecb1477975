"""Withdraws a person's consents, as they asked in writing or in a talk (Art 7(3))."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from ccari.office.claimants import known_to
from ccari.office.naming import purposes_of
from ccari.policy.declaration import Policy
from ccari.ports.keying import Secrets
from ccari.ports.lists import ConsentStore


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """What to withdraw, unchecked. ``purpose``: of the consents; None: all. ``proof``: where the wish is on file."""

    number: str = field(repr=False)
    controller: str | None
    purpose: str | None
    proof: str


async def withdraw(
    policy: Policy, consents: ConsentStore, secrets: Secrets, asked: Withdrawal, origin: str
) -> dict[str, Any]:
    """Withdraw the consents, and bar the calls that rested on them until there is a newer one.

    Raises
    ------
    InputError, ConsentError
        If there is no such controller or number, or no such consent.
    ConfigError, StoreError
        If a secret is missing, or the database fails.
    """
    whose = known_to(policy, secrets, asked.number, asked.controller)
    withdrawn = await consents.withdraw(
        whose.controller.id, whose.digests, datetime.now(UTC), purpose=asked.purpose,
        purposes=purposes_of(policy, whose.controller), origin=origin, proof=asked.proof,
        at_once=True,
    )  # fmt: skip
    return {
        "controller": whose.controller.id, "number": whose.number.masked, "purpose": asked.purpose,
        "consents_withdrawn": withdrawn,
    }  # fmt: skip
