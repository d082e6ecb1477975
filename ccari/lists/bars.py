"""Rows of a list of bars, written by people or exported."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from ccari.lists import cells
from ccari.lists.cells import CellError
from ccari.lists.numberlist import Row
from ccari.policy.suppression import DIGEST_BYTES, Reason
from ccari.ports.keying import Keyed
from ccari.ports.lists import Bar, LineFault

COLUMNS = ("reason", "proof", "campaign", "until", "since", "origin", "controller", "key_check")
#: The columns of an export, in order.
EXPORTED = (
    "controller", "digest", "key_version", "key_check", "campaign", "reason", "origin", "proof", "since", "until",
)  # fmt: skip
#: Columns that a list of digests needs: without them nobody can tell whose digests they are.
KEYED = ("controller", "key_check")


@dataclass(frozen=True, slots=True)
class BarReader:
    """Makes a bar from a row. The fields here are the defaults for missing cells.

    ``campaigns``: those of the controller. ``keys``: the check value of each version of its secret, for rows of an export: a digest under
    a secret that this node does not have would bar nobody.
    """

    controller: str
    campaigns: Collection[str]
    keys: Mapping[int, str]
    zone: ZoneInfo
    now: datetime
    origin: str
    reason: Reason = Reason.DO_NOT_CALL
    campaign: str | None = None
    proof: str = ""
    until: datetime | None = None

    def __call__(self, row: Row) -> Bar | LineFault:
        return cells.made_or_fault(row, self._bar)

    def _bar(self, row: Row) -> Bar:
        fields = row.fields
        if fields.get("controller", "" if row.number is None else self.controller) != self.controller:
            raise CellError("controller", f"it is not {self.controller!r}, whom this list is for")
        reason = cells.one_of(row, "reason", Reason, self.reason)
        read_since = cells.past_day_end if reason is Reason.WITHDRAW_CONSENT else cells.past
        since = read_since(row, "since", self.zone, self.now) or self.now
        until = cells.until(row, "until", self.zone) or self.until
        if until is not None and until <= since:
            raise CellError("until", "it is not after the start of the suppression")
        return Bar(
            key=self._keyed(fields) if row.number is None else row.number,
            reason=reason,
            campaign=self._campaign(fields, written=row.number is not None),
            proof=cells.as_written(fields.get("proof", "")) or self.proof,
            origin=cells.as_written(fields.get("origin", "")) or self.origin, since=since, until=until,
        )  # fmt: skip

    def _campaign(self, fields: Mapping[str, str], *, written: bool) -> str | None:
        """The campaign that the bar is on. An export may name a campaign that no longer exists; a row ``written`` by people may not."""
        campaign = fields.get("campaign") or self.campaign
        if written and campaign is not None and campaign not in self.campaigns:
            if not self.campaigns:
                raise CellError("campaign", f"{self.controller!r} has no campaigns")
            known = ", ".join(self.campaigns)
            raise CellError("campaign", f"{self.controller!r} has no such campaign, only {known}")
        if campaign is not None and not cells.is_identifier(campaign):
            # it would be in every export from then on
            raise CellError("campaign", "it is not the id of a campaign")
        return campaign

    def _keyed(self, fields: Mapping[str, str]) -> Keyed:
        try:
            digest = bytes.fromhex(fields["digest"])
        except ValueError:
            digest = b""
        if len(digest) != DIGEST_BYTES:
            raise CellError("digest", f"it is not {DIGEST_BYTES} bytes in hexadecimal")
        try:
            version = int(fields["key_version"])
        except ValueError:
            raise CellError("key_version", "it is not a number") from None
        check = self.keys.get(version)
        if check is None:
            raise CellError(
                "key_version", "this version of the secret is missing here: restore the keys first"
            )
        if fields.get("key_check") != check:
            raise CellError(
                "key_check", "this version of the secret is different here: restore the keys first"
            )
        return Keyed(digest, version)
