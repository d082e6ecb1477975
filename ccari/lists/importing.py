"""Importing, scrubbing and exporting long lists: the file is read, checked against the policy, and entered."""

import asyncio
import csv
import io
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Callable,
    Iterable,
    Mapping,
    Sequence,
)
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Protocol, TypeVar

from ccari.errors import InputError
from ccari.gating.labels import label
from ccari.lists import bars, consents, requests
from ccari.lists.bars import BarReader
from ccari.lists.cells import inert
from ccari.lists.consents import ConsentReader
from ccari.lists.contacts import COLUMNS, ContactReader
from ccari.lists.numberlist import NUMBER, NumberList, Row
from ccari.lists.scrubbing import Scrubbing
from ccari.office import moments
from ccari.office.naming import (
    campaign_of,
    end,
    purposes_of,
    the_campaign,
    the_controller,
    zone_of,
)
from ccari.policy import deadlines
from ccari.policy.declaration import Policy
from ccari.policy.parties import Controller
from ccari.ports.keying import Digests, ListSecrets, Sought
from ccari.ports.lists import (
    Agreed,
    BarLists,
    BarsGiven,
    ConsentLists,
    ContactLists,
    ContactsGiven,
    LineFault,
    RemainingLines,
    Report,
    Scrubbed,
    Source,
    Sourced,
)

_T = TypeVar("_T")

#: The most purposes in a report that no campaign asks consent to. A misspelt purpose is usually misspelt in the whole file.
_UNASKED_LISTED = 10


class Watching(Protocol):
    """Shows the progress of a list."""

    def reading(self, listed: NumberList, batches: AsyncIterable[_T]) -> AsyncIterator[_T]:
        """Pass the batches on, and show how much of the file has been read."""
        ...

    def entering(self, done: int, of: int) -> None:
        """Show how much has been entered: how many parts, out of how many."""
        ...


class Unwatched:
    """Shows nothing."""

    async def reading(self, listed: NumberList, batches: AsyncIterable[_T]) -> AsyncIterator[_T]:  # noqa: ARG002
        async for batch in batches:
            yield batch

    def entering(self, done: int, of: int) -> None: ...


@dataclass(frozen=True, slots=True)
class Lists:
    """:class:`ccari.ports.lists.ListWork`, under the policy in force.

    ``ahead``: read the next lines while the database works on the last ones. That keeps the interpreter busy nearly all the time, so do
    not use it in a process that also runs calls.
    """

    policy: Policy
    secrets: ListSecrets
    suppressions: BarLists
    contacts: ContactLists
    consents: ConsentLists
    ahead: bool = False

    async def bar(
        self, source: Path | Source, given: BarsGiven, who: str, *, keep_going: bool, watch: Watching | None = None
    ) -> Report:  # fmt: skip
        controller, now = the_controller(self.policy, given.controller), datetime.now(UTC)
        watch = watch or Unwatched()
        campaign_of(self.policy, controller, given.campaign)
        keys = self.secrets.keys(controller.id)
        reader = BarReader(
            controller.id, [each.id for each in self.policy.campaigns_of(controller.id)],
            {key.version: key.check for key in keys}, zone_of(controller), now, f"import:{who}", given.reason, given.campaign,
            given.proof, end(given.until, controller, now),
        )  # fmt: skip
        async with NumberList(source, controller.country, bars.COLUMNS, keyed=bars.KEYED) as listed:
            batches = watch.reading(listed, listed.batches(reader, ahead=self.ahead))
            report = await self.suppressions.load(
                controller.id,
                keys[-1],
                batches,
                older=keys[:-1],
                keep_going=keep_going,
                progress=watch.entering,
            )
        report.doubts = listed.doubts
        return report

    async def contact(
        self, source: Path | Source, given: ContactsGiven, who: str, *, keep_going: bool, watch: Watching | None = None
    ) -> Scrubbed:  # fmt: skip
        watch = watch or Unwatched()
        controller, scrubbing = self._scrubbing(given)
        reader = ContactReader(
            zone_of(controller), deadlines.local_day(datetime.now(UTC), controller.country), given.source, _day(given.obtained),
            given.basis, given.proof, _end(given.valid_until, controller),
        )  # fmt: skip

        def make(row: Row) -> tuple[Sourced, Sought] | LineFault:
            contact = reader(row)
            if isinstance(contact, LineFault):
                return contact
            return contact, scrubbing.sought(self.secrets, contact.number)

        async with NumberList(source, controller.country, COLUMNS, required=reader.required) as listed:
            done = await self.contacts.load(
                scrubbing.question, scrubbing.judge, watch.reading(listed, listed.batches(make, ahead=self.ahead)),
                origin=f"import:{who}", keep_going=keep_going, progress=watch.entering,
            )  # fmt: skip
        done.report.doubts = listed.doubts
        return done

    async def consent(
        self, source: Path | Source, controller: str | None, who: str, *, keep_going: bool, watch: Watching | None = None
    ) -> tuple[Scrubbed, list[str]]:  # fmt: skip
        declared, watch = the_controller(self.policy, controller), watch or Unwatched()
        purposes, unasked = purposes_of(self.policy, declared), set[str]()
        asked = set(purposes.values())
        reader = ConsentReader(zone_of(declared), datetime.now(UTC))

        def make(row: Row) -> tuple[Agreed, Digests] | LineFault:
            agreed = reader(row)
            if isinstance(agreed, LineFault):
                return agreed
            if agreed.purpose not in asked and len(unasked) < _UNASKED_LISTED:
                unasked.add(agreed.purpose)
            return agreed, self.secrets.digests(declared.id, agreed.number)

        async with NumberList(
            source, declared.country, consents.COLUMNS, required=consents.REQUIRED
        ) as listed:
            done = await self.consents.load(
                declared.id, purposes, watch.reading(listed, listed.batches(make, ahead=self.ahead)),
                origin=f"import:{who}", keep_going=keep_going, progress=watch.entering,
            )  # fmt: skip
        done.report.doubts = listed.doubts
        return done, sorted(unasked)

    async def scrub(
        self,
        source: Path | Source,
        campaign: str,
        write: Callable[[bytes], object],
        *,
        watch: Watching | None = None,
    ) -> RemainingLines:
        declared, watch, left = the_campaign(self.policy, campaign), watch or Unwatched(), RemainingLines()
        scrubbing = Scrubbing.of_calls(self.policy, declared, datetime.now(UTC))

        def make(row: Row) -> tuple[bytes, Sought] | LineFault:
            if row.number is None:
                return LineFault(row.line, NUMBER, "it is empty")
            return row.raw, scrubbing.sought(self.secrets, row.number)

        async with NumberList(source, self.policy.controller_of(declared).country, None) as listed:
            write(listed.header)
            async with self.contacts.sieve(scrubbing.question, scrubbing.judge) as sieve:
                async for batch in watch.reading(listed, listed.batches(make, ahead=self.ahead)):
                    write(await left.sift(batch, sieve))
        left.doubts, left.unchecked = listed.doubts, listed.unchecked
        return left

    async def bars_csv(self, controller: str | None) -> AsyncGenerator[bytes, None]:
        """:meth:`bar` accepts such a CSV where the same keys exist."""
        declared = the_controller(self.policy, controller)
        checks = {key.version: key.check for key in self.secrets.keys(declared.id)}
        yield _csv([bars.EXPORTED])
        async with aclosing(self.suppressions.export(declared.id)) as batches:
            async for rows in batches:
                yield await asyncio.to_thread(_csv, [_exported(row, checks) for row in rows])

    def register(
        self, rows: AsyncGenerator[Mapping[str, Any], None], form: str
    ) -> AsyncGenerator[bytes, None]:
        return requests.as_csv(rows) if form == "csv" else requests.as_json(rows)

    def _scrubbing(self, given: ContactsGiven) -> tuple[Controller, Scrubbing]:
        """Whose contacts they are, and which of them must not be used."""
        now = datetime.now(UTC)
        if given.campaign is None:
            controller = the_controller(self.policy, given.controller)
            return controller, Scrubbing.of_all(controller, now)
        campaign = the_campaign(self.policy, given.campaign)
        controller = self.policy.controller_of(campaign)
        if given.controller not in {None, controller.id}:
            raise InputError(
                "campaign",
                f"the campaign {campaign.id!r} is {controller.id!r}'s, not {label(str(given.controller))!r}'s",
            )
        return controller, Scrubbing.of_bars(self.policy, campaign, now)


def _exported(row: Mapping[str, Any], checks: Mapping[int, str]) -> Sequence[object]:
    return (
        row["controller"], row["digest"], row["key_version"], checks.get(row["key_version"], ""), row["campaign"],
        row["reason"], inert(row["origin"]), inert(row["proof"]), row["entered_at"].isoformat(),
        row["expires_at"].isoformat() if row["expires_at"] else "",
    )  # fmt: skip


def _csv(rows: Iterable[Sequence[object]]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()


def _day(text: str | None) -> date | None:
    try:
        return moments.day(text) if text else None
    except ValueError as error:
        raise InputError("obtained", str(error)) from None


def _end(text: str | None, controller: Controller) -> datetime | None:
    try:
        return moments.until(text, zone_of(controller)) if text else None
    except ValueError as error:
        raise InputError("valid_until", str(error)) from None
