"""A call that is refused over FastAGI while the database is away is on record when it is back, as one over Stasis is."""

import asyncio
import contextlib
from typing import Any
from uuid import UUID

import pytest
from structlog.testing import capture_logs

from ccari.agi import unrecorded
from ccari.agi.desk import Desk
from ccari.errors import StoreError, UnknownError
from ccari.store.calls import PostgresCallStore
from ccari.store.database import Database
from ccari.store.opened import Store
from tests.lab.waiting import until
from tests.unit.agi.served import SECONDS, ask, closed, serving, with_store
from tests.unit.store.made import NUMBER


class Fleeting(PostgresCallStore):
    """A database that is away while ``away`` is set; with ``forgets`` it has written what it says that it has not."""

    away = True
    forgets = False
    tries = 0

    async def _answer(self, step: Any, *arguments: Any) -> Any:
        self.tries += 1
        if not self.away:
            return await step(*arguments)
        if self.forgets:
            await step(*arguments)
        raise StoreError("the database is away")

    async def open(self, *arguments: Any) -> Any:
        return await self._answer(super().open, *arguments)

    async def open_refused(self, *arguments: Any) -> None:
        await self._answer(super().open_refused, *arguments)

    async def close(self, *arguments: Any) -> None:
        await self._answer(super().close, *arguments)


async def on_record(store: Store, call: str) -> dict[str, Any]:
    """The call's row, once it is there and closed."""

    async def there() -> bool:
        with contextlib.suppress(UnknownError):
            await store.records.show_call(UUID(call))
            return True
        return False

    await until(there, within=SECONDS)
    return await closed(store, call)


@pytest.fixture
def fleeting(database: Database) -> Fleeting:
    return Fleeting(database)


@pytest.mark.parametrize(
    ("campaign", "whose"), [("renewals", "acme"), ("nonsense", None)], ids=["declared", "unknown"]
)
@pytest.mark.parametrize("forgets", [False, True], ids=["not written", "written untold"])
async def test_a_call_that_is_refused_while_the_database_is_away_is_never_on_record(
    desk: Desk, store: Store, fleeting: Fleeting, campaign: str, whose: str | None, *, forgets: bool
) -> None:
    fleeting.forgets = forgets
    async with serving(with_store(desk, fleeting)) as port:
        told = await ask(port, NUMBER.e164, campaign)
        assert (told.verdict, told.variables["CCARI_REASON"]) == ("DENY", "store_unavailable")
        fleeting.away = False
        row = await on_record(store, told.variables["CCARI_CALL"])
        assert (row["outcome"], row["reason"]) == ("unavailable", "store_unavailable")
        assert (row["controller"], row["dialled_at"]) == (whose, None)
        record = await store.records.show_call(row["id"])
    assert [each["event"] for each in record.events] == ["gate_failed", "call_blocked", "call_ended"]


async def test_calls_that_wait_for_the_database_keep_others_out_or_all_ask_it_at_once(
    desk: Desk, store: Store, fleeting: Fleeting, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A session for each, for minutes: then nobody could press a key in the menu."""
    monkeypatch.setattr(unrecorded, "MOST_WAITING", 19)
    with capture_logs() as logged:
        async with serving(with_store(desk, fleeting)) as port:
            told = [await ask(port, NUMBER.e164, "renewals") for _ in range(25)]
            fleeting.tries = 0
            await until(lambda: fleeting.tries > 1, within=SECONDS)
            assert fleeting.tries < 10
            fleeting.away = False
            for each in told[:20]:
                await on_record(store, each.variables["CCARI_CALL"])
    for each in told[20:]:
        with pytest.raises(UnknownError):
            await store.records.show_call(UUID(each.variables["CCARI_CALL"]))
    assert any(each["event"] == "refusals_not_recorded" for each in logged)


async def test_a_service_that_ends_without_its_database_waits_for_it_or_says_nothing_of_what_is_lost(
    desk: Desk, fleeting: Fleeting
) -> None:
    with capture_logs() as logged:
        async with asyncio.timeout(SECONDS), serving(with_store(desk, fleeting)) as port:
            await ask(port, NUMBER.e164, "renewals")
            await until(lambda: fleeting.tries > 1, within=SECONDS)
    assert [each["times"] for each in logged if each["event"] == "refusals_not_recorded"] == [1]
