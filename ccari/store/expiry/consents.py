"""Consents that ended long ago. They are deleted in an order that never brings an older consent back into force."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime

from ccari.policy.bases import LegalBasis
from ccari.policy.erasure import is_held_by, proof_kept
from ccari.policy.limits import Limit
from ccari.policy.rights import Right
from ccari.store import holds
from ccari.store.database import Connection
from ccari.store.expiry.kind import Keepers
from ccari.store.policies import DeclaredCampaigns
from ccari.store.queries import SQL, columns

#: A number's keyed digest, the purpose and channel of the consent, and when it was given.
Place = tuple[bytes, str, str, datetime]
_WORDS = {
    "used": "a call that was made on it, and that is kept",
    "proof": "the law, which requires the proof of a consent to be kept for years (DE: §7a(2) UWG)",
    "withdrawal": "its withdrawal, for which there is no suppression: a list could bring the consent back (add one: ccari consents withdraw)",
    "older": "an older consent to the same purpose, which stays and would be in force again",
    "secret": "a consent that was stored under an older secret although there was a newer one: import the lists of consents again",
}


class ExpiringConsents:
    """:class:`ccari.store.expiry.kind.ExpiringKind`, by the consents' ids."""

    def __init__(self) -> None:
        self._campaigns = DeclaredCampaigns()

    async def past(
        self, connection: Connection, limit: Limit, until: datetime, after: tuple[Place, int] | None, most: int
    ) -> Sequence[tuple[Place, int]]:  # fmt: skip
        place = after[0] if after else (None,) * 4
        rows = await connection.fetch(
            SQL["consents_past_limit"], limit.controller, until, limit.days, *place, most
        )
        return [((row["digest"], row["purpose"], row["channel"], row["given_at"]), row["id"]) for row in rows]

    async def lock(self, connection: Connection, limit: Limit, ids: Sequence[int]) -> Sequence[int]:
        # until they are deleted no list of consents can be merged, and no withdrawal entered
        await connection.execute(SQL["lock_consents"], limit.controller)
        rows = await connection.fetch(SQL["lock_consents_to_expire"], limit.controller, ids)
        return [row["id"] for row in rows]

    async def kept(self, connection: Connection, limit: Limit, ids: Sequence[int]) -> Keepers:
        campaigns = await self._campaigns.of(connection, limit.controller)
        asks = sorted({(each.campaign, each.purpose) for each in campaigns})
        abroad = {(each.purpose, proof_kept([each.preset])) for each in campaigns}
        rows = await connection.fetch(
            SQL["consents_kept"], limit.controller, ids, limit.proof, *columns(asks), holds.ON_RIGHTS, holds.ON_BARS, *columns(abroad)
        )  # fmt: skip
        keepers: Keepers = defaultdict(set)
        for row in rows:
            if row["kind"] == "legal":
                keepers[row["id"]].add(holds.held(row).words)
            elif row["kind"] == "request":
                if is_held_by(Right(row["reason"]), LegalBasis.CONSENT):
                    keepers[row["id"]].add(holds.held(row).words)
            elif row["kind"] != "older":
                keepers[row["id"]].add(_WORDS[row["kind"]])
        going = set(ids)
        for row in sorted((row for row in rows if row["kind"] == "older"), key=lambda row: row["given_at"]):
            # the older consent was judged first, and may expire in the same batch
            if row["older"] not in going or row["older"] in keepers:
                keepers[row["id"]].add(_WORDS["older"])
        return keepers

    async def erase(self, connection: Connection, limit: Limit, ids: Sequence[int], who: str) -> None:  # noqa: ARG002 - ExpiringKind's
        await connection.execute(SQL["erase_uses"], ids)
        await connection.execute(SQL["erase_consents"], ids)

    def changed(self, one: int) -> str:
        return f"consent {one}, which somebody has changed"
