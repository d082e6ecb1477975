"""Rows of a list of bars: as people write them, and as an export gave them."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from ccari.lists import moments
from ccari.lists.numberlist import Row
from ccari.policy.suppression import DIGEST_BYTES, Reason
from ccari.ports import Bar, Keyed, LineFault

COLUMNS = ("reason", "proof", "campaign", "until", "since", "origin", "controller", "key_check")


class _CellError(ValueError):
    def __init__(self, column: str, why: object) -> None:
        super().__init__(str(why))
        self.column = column


@dataclass(frozen=True, slots=True)
class BarReader:
    """Makes a bar of a row; what the row leaves out is as here.

    ``campaigns``: of the controller. ``keys``: the check value of each version of its secret, for the rows of an export:
    a digest under a secret that is not here would bar nobody.
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
        try:
            return self._bar(row)
        except _CellError as error:
            return LineFault(row.line, error.column, str(error))

    def _bar(self, row: Row) -> Bar:
        cells = row.fields
        if cells.get("controller", self.controller) != self.controller:
            raise _CellError("controller", f"it is another than {self.controller!r}, whom this list is for")
        since = self._moment(cells, "since", lambda text: moments.past(text, self.zone, self.now)) or self.now
        until = self._moment(cells, "until", lambda text: moments.until(text, self.zone)) or self.until
        if until is not None and until <= since:
            raise _CellError("until", "it is not after the beginning of the bar")
        return Bar(
            key=self._keyed(cells) if row.number is None else row.number,
            reason=self._reason(cells), campaign=self._campaign(cells, written=row.number is not None), proof=cells.get("proof") or self.proof,
            origin=cells.get("origin") or self.origin, since=since, until=until,
        )  # fmt: skip

    def _reason(self, cells: Mapping[str, str]) -> Reason:
        text = cells.get("reason")
        if not text:
            return self.reason
        try:
            return Reason(text)
        except ValueError:
            raise _CellError("reason", f"it is none of {', '.join(Reason)}") from None

    def _campaign(self, cells: Mapping[str, str], *, written: bool) -> str | None:
        """A bar that is restored may be on a campaign that is no more; one that is written, not."""
        campaign = cells.get("campaign") or self.campaign
        if written and campaign is not None and campaign not in self.campaigns:
            known = ", ".join(self.campaigns) or "none"
            raise _CellError("campaign", f"{self.controller!r} has no such campaign: there is {known}")
        return campaign

    def _moment(
        self, cells: Mapping[str, str], column: str, read: Callable[[str], datetime]
    ) -> datetime | None:
        text = cells.get(column)
        try:
            return read(text) if text else None
        except ValueError as error:
            raise _CellError(column, error) from None

    def _keyed(self, cells: Mapping[str, str]) -> Keyed:
        try:
            digest = bytes.fromhex(cells["digest"])
        except ValueError:
            digest = b""
        if len(digest) != DIGEST_BYTES:
            raise _CellError("digest", f"it is no {DIGEST_BYTES} bytes in hex")
        try:
            version = int(cells["key_version"])
        except ValueError:
            raise _CellError("key_version", "it is no number") from None
        check = self.keys.get(version)
        if check is None:
            raise _CellError(
                "key_version", "there is no such version of the secret here: restore the keys first"
            )
        if cells.get("key_check", check) != check:
            raise _CellError(
                "key_check", "the secret of that version is another here: restore the keys first"
            )
        return Keyed(digest, version)
