"""A controller's bars on numbers: entering, lifting and looking them up."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from ccari.office.claimants import Claimant, known_to
from ccari.office.naming import campaign_of, end, the_controller, the_number
from ccari.office.registers import refuse_unseen
from ccari.policy.declaration import Policy
from ccari.policy.suppression import Reason, in_force
from ccari.ports.keying import Secrets
from ccari.ports.suppressions import RegisterStore, SuppressionStore


@dataclass(frozen=True, slots=True)
class Barring:
    """A bar as requested, unchecked. ``until``: its last day, or a moment, by the controller's clock."""

    number: str = field(repr=False)
    controller: str | None
    campaign: str | None
    reason: Reason
    proof: str
    until: str | None


@dataclass(frozen=True, slots=True)
class Lifting:
    """Which bars of a number to lift, and ``why`` that is allowed: those on a campaign, those for a reason,
    or, without a reason, all except those in ``LIFTED_BY_NAME``.
    """

    number: str = field(repr=False)
    controller: str | None
    campaign: str | None
    reason: Reason | None
    why: str


@dataclass(frozen=True, slots=True)
class Bars:
    """Each method raises InputError for what the policy does not declare, ConfigError if a secret is missing,
    and StoreError.
    """

    policy: Policy
    store: SuppressionStore
    registers: RegisterStore
    secrets: Secrets

    async def enter(self, asked: Barring, origin: str) -> dict[str, Any]:
        """Bar a number; ``added`` is False if it was already barred for this reason."""
        whose = the_controller(self.policy, asked.controller)
        campaign_of(self.policy, whose, asked.campaign)
        number, expires_at = the_number(asked.number, whose), end(asked.until, whose, datetime.now(UTC))
        added = await self.store.add(
            whose.id, self.secrets.digests(whose.id, number), asked.reason, origin, asked.proof,
            campaign=asked.campaign, expires_at=expires_at,
        )  # fmt: skip
        return {
            "controller": whose.id, "campaign": asked.campaign, "number": number.masked, "reason": asked.reason,
            "added": added,
        }  # fmt: skip

    async def lift(self, asked: Lifting, by: str) -> list[dict[str, Any]]:
        """Lift bars, and give those lifted; they stay on record."""
        whose = self._known(asked.number, asked.controller)
        return await self.store.remove(
            whose.controller.id, whose.digests, by, asked.why, reason=asked.reason, campaign=asked.campaign
        )

    def subject(self, number: str, controller: str | None) -> dict[str, str]:
        """Whose data :meth:`of_number` discloses, for the record of accesses."""
        return self._known(number, controller).access_target

    async def of_number(self, number: str, controller: str | None) -> list[dict[str, Any]]:
        """The bars of a number, and the registers that list it, each with its ``scope`` and whether it ``stands`` now."""
        whose = self._known(number, controller)
        found = await self.store.of(whose.controller.id, whose.digests)
        now = datetime.now(UTC)
        standing = [
            {
                "scope": "campaign" if row["campaign"] else "controller", **row,
                "stands": in_force(row["expires_at"], now),
            }
            for row in found
        ]  # fmt: skip
        heeded = self.policy.registers_heeded_by(whose.controller.id)
        listed_as = self.secrets.listed_as((each.id for each in heeded), whose.number)
        await refuse_unseen(self.registers, heeded, listed_as)
        listed = await self.registers.of(listed_as)
        return standing + [
            {
                "scope": "register", "campaign": None, "reason": row["register"], "origin": "register", "proof": "",
                "entered_at": row["listed_at"], "expires_at": row["expires_at"], "stands": True,
            }
            for row in listed
        ]  # fmt: skip

    def _known(self, number: str, controller: str | None) -> Claimant:
        return known_to(self.policy, self.secrets, number, controller)
