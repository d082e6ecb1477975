"""The centre's own webhooks: told of what happened, tried for as long as it takes, and told of nothing that did not
happen.
"""

import asyncio
import contextlib
import re
import signal
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from structlog.testing import capture_logs

from ccari.config import Settings
from ccari.errors import ConfigError
from ccari.forward import notifier as notifiers
from ccari.forward.courier import LEASE
from ccari.forward.notifier import Notifier, Sent, Target
from ccari.forward.secret import decoded
from ccari.forward.webhook import open_webhook
from ccari.policy.rights import Right
from ccari.ports.webhooks import Endpoint, Told
from ccari.store.database import Database
from ccari.store.opened import Store
from ccari.store.policies import Book
from ccari.store.webhooks import Webhooks
from tests.integration.service import START_SECONDS, Service
from tests.lab.ports import free_port
from tests.lab.waiting import until
from tests.unit.documents.pages import CHECKOUT
from tests.unit.forward.receiver import Receiver, answers, receiving
from tests.unit.store import made, person
from tests.unit.store.commands import on
from tests.unit.store.kept import Shelf
from tests.unit.store.test_listening_commands import put

SECRET = "whsec_" + "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo="
WITHIN_SECONDS = 30.0


def secret() -> bytes:
    found = decoded(SECRET)
    assert found is not None
    return found


def target(
    receiver: Receiver, *events: Told, name: str = "crm", controllers: tuple[str, ...] | None = None
) -> Target:
    return Target(Endpoint(name, events or tuple(Told), controllers), receiver.url, secret)


@dataclass
class Telling:
    """A notifier whose loops a test runs by hand."""

    notifier: Notifier
    targets: tuple[Target, ...]

    async def deliver(self) -> list[Sent]:
        """One round for each webhook."""
        return [sent for each in self.targets for sent in await self.notifier.tell(each)]


@contextlib.asynccontextmanager
async def telling(store: Store, *targets: Target) -> AsyncIterator[Telling]:
    async with open_webhook() as webhook:
        notifier = Notifier(store.webhooks, Book(store.policies), targets, webhook, lambda: 0.0)
        await notifier.know()
        yield Telling(notifier, targets)


async def waiting(database: Database) -> list[tuple[str, str]]:
    rows = await database.rows("SELECT event, state FROM webhook_deliveries ORDER BY id")
    return [(row["event"], row["state"]) for row in rows]


async def due_again(database: Database) -> None:
    await database.rows("UPDATE webhook_deliveries SET next_try_at = now() RETURNING 1")


async def unseen(database: Database, for_so_long: timedelta) -> None:
    await database.rows(
        "UPDATE webhook_endpoints SET seen_at = seen_at - $1::interval RETURNING 1", for_so_long
    )


async def test_what_happens_is_not_told_or_unsigned_or_with_a_number(
    store: Store, database: Database, shelf: Shelf, receiver: Receiver, tmp_path: Path
) -> None:
    with capture_logs() as logs:
        async with telling(store, target(receiver)) as told_by:
            call = await person.called(shelf)
            reference = await person.asked(shelf, Right.ERASURE)
            recording = await put(store, tmp_path / "recordings", None)
            await told_by.deliver()
    told = {each.told["type"]: each.told["data"] for each in receiver.heard}
    assert [each.told["type"] for each in receiver.heard] == [
        "call.ended",
        "right.registered",
        "recording.stored",
    ]
    assert (told["call.ended"]["call_id"], told["call.ended"]["outcome"]) == (str(call.id), "bridged")
    assert (told["call.ended"]["number"], told["right.registered"]["number"]) == (
        "+48•••••0001",
        "+48•••••0001",
    )
    assert (told["right.registered"]["reference"], told["right.registered"]["right"]) == (
        reference,
        "erasure",
    )
    assert told["recording.stored"]["recording_id"] == str(recording.tag.recording_id)
    assert all(each.is_signed_with(SECRET) for each in receiver.heard)
    assert len(set(receiver.ids)) == 3
    everything = str([*logs, *[(each.path, each.headers, each.body) for each in receiver.heard]])
    assert made.NUMBER.e164 not in everything
    assert made.NUMBER.digits[2:] not in everything
    assert [state for _, state in await waiting(database)] == ["delivered"] * 3


async def test_the_page_does_not_say_what_a_message_contains(
    store: Store, shelf: Shelf, receiver: Receiver, tmp_path: Path
) -> None:
    async with telling(store, target(receiver)) as told_by:
        await person.called(shelf)
        await person.asked(shelf, Right.ERASURE)
        await put(store, tmp_path / "recordings", None)
        await told_by.deliver()
    page = (CHECKOUT / "docs" / "http.md").read_text("utf-8")
    described: dict[str, list[str]] = {}
    for row in page.partition("| event | `data` |\n")[2].partition("\n\n")[0].splitlines():
        events, fields = (re.findall(r"`([^`]+)`", cell) for cell in row.strip("|").split("|"))
        described |= dict.fromkeys(events, fields)
    assert set(described) == set(Told)
    told = {each.told["type"]: list(each.told["data"]) for each in receiver.heard}
    assert len(told) == 3
    assert {event: described[event] for event in told} == told


async def test_what_was_taken_back_is_told(
    store: Store, database: Database, shelf: Shelf, receiver: Receiver
) -> None:
    async with telling(store, target(receiver)) as told_by:
        call = await shelf.call()
        with contextlib.suppress(ZeroDivisionError):
            async with database.transaction() as connection:
                await connection.execute(
                    "UPDATE calls SET ended_at = now(), outcome = 'busy' WHERE id = $1", call.id
                )
                raise ZeroDivisionError
        assert await told_by.deliver() == []
    assert await waiting(database) == []


async def test_nobody_who_asks_for_it_is_told_or_somebody_who_does_not(
    store: Store, database: Database, shelf: Shelf, receiver: Receiver
) -> None:
    await person.called(shelf)
    assert await waiting(database) == []
    async with receiving() as other:
        mine = target(receiver, Told.RIGHT_REGISTERED, controllers=("acme",))
        theirs = target(other, Told.RIGHT_REGISTERED, Told.CALL_ENDED, name="erp", controllers=("other",))
        async with telling(store, mine, theirs) as told_by:
            await person.called(shelf)
            await person.asked(shelf)
            await told_by.deliver()
        assert [each.told["type"] for each in receiver.heard] == ["right.registered"]
        assert other.heard == []


async def test_a_day_that_has_come_is_told_twice_or_never(
    store: Store, database: Database, shelf: Shelf, receiver: Receiver
) -> None:
    async with telling(store, target(receiver, Told.REQUEST_DUE_SOON, Told.REQUEST_OVERDUE)) as told_by:
        soon, over, later = [
            await person.asked(shelf, right) for right in (Right.ACCESS, Right.ERASURE, Right.OBJECTION)
        ]

        async def due(reference: str, days: int) -> None:
            await database.rows(
                "UPDATE rights_requests SET due = current_date + $2::integer WHERE reference = $1 RETURNING 1", reference, days
            )  # fmt: skip

        for reference, days in ((soon, 3), (over, -3), (later, 30)):
            await due(reference, days)
        for _ in range(2):
            await told_by.notifier.look_at_terms()
            await told_by.deliver()
        told = [(each.told["type"], each.told["data"]["reference"]) for each in receiver.heard]
        assert sorted(told) == [("request.due_soon", soon), ("request.overdue", over)]
        # a new deadline, as after an extension, is reported separately; a request that was answered is no longer
        # reported
        await due(soon, 5)
        await person.resolved(shelf, over)
        await told_by.notifier.look_at_terms()
        await told_by.deliver()
        assert [each.told["data"]["reference"] for each in receiver.heard[2:]] == [soon]


async def test_what_a_fast_clock_has_queued_is_not_told_until_that_time_has_come(
    store: Store, database: Database, shelf: Shelf, receiver: Receiver
) -> None:
    async with telling(store, target(receiver, Told.CALL_ENDED)) as told_by:
        await person.called(shelf)
        await database.rows(
            "UPDATE webhook_deliveries SET at = at + $1, next_try_at = next_try_at + $1", timedelta(days=3)
        )
        await told_by.notifier.know()
        receiver.manner = answers(503, retry_after="7200")
        assert [each.status for each in await told_by.deliver()] == [503]
        # a pause after a failure is kept
        await told_by.notifier.know()
        assert await told_by.deliver() == []


async def test_what_is_not_taken_is_lost_or_sent_without_a_pause(
    store: Store, database: Database, shelf: Shelf, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    receiver.manner = answers(503, retry_after="7200")
    async with telling(store, target(receiver, Told.CALL_ENDED)) as told_by:
        for _ in range(2):
            await person.called(shelf)
        (sent,) = await told_by.deliver()
        assert (sent.status, sent.given_up, sent.fault) == (503, False, "it answered 503")
        (row,) = await database.rows(
            "SELECT tries, next_try_at - now() > interval '1 hour' AS paused FROM webhook_deliveries WHERE tries > 0"
        )
        assert row == {"tries": 1, "paused": True}
        # the other goes at once, and then there is nothing to send for now
        assert [each.delivery.tries for each in await told_by.deliver()] == [1]
        assert await told_by.deliver() == []
        # the last try: what is not accepted then is a dead letter, until somebody says otherwise
        monkeypatch.setattr(notifiers, "PATIENCE", timedelta(0))
        await due_again(database)
        assert [each.given_up for each in await told_by.deliver()] == [True]
        (dead,) = await store.webhooks.page(9, state="given_up")
        assert (dead["tries"], dead["fault"]) == (2, "it answered 503")
        receiver.manner = answers(204)
        assert await store.webhooks.retry(dead["id"] + 1000) == []
        assert await store.webhooks.retry(dead["id"]) == [dead["id"]]
        assert {each.status for each in await told_by.deliver()} == {204}
    assert receiver.ids.count(str(dead["message"])) == 3
    assert await waiting(database) == [("call.ended", "delivered")] * 2


async def test_a_webhook_that_is_back_after_an_outage_is_told_hours_later_whatever_is_done(
    store: Store, database: Database, shelf: Shelf, receiver: Receiver
) -> None:
    receiver.manner = answers(503, retry_after="7200")
    async with telling(store, target(receiver, Told.CALL_ENDED)) as told_by:
        await person.called(shelf)
        (sent,) = await told_by.deliver()
        receiver.manner = answers(204)
        assert await told_by.deliver() == []
        assert await store.webhooks.retry(endpoint="crm") == [sent.delivery.id]
        # it is due now, and must not be sent by two
        assert await store.webhooks.claim(told_by.targets[0].endpoint, LEASE) is not None
        assert await store.webhooks.retry(endpoint="crm") == []
        await due_again(database)
        assert [each.status for each in await told_by.deliver()] == [204]


async def refuses_calls(request: web.Request) -> web.Response:
    return web.Response(status=400 if (await request.json())["type"] == "call.ended" else 204)


async def test_an_event_that_a_webhook_refuses_holds_up_those_that_it_takes(
    store: Store, database: Database, shelf: Shelf, receiver: Receiver
) -> None:
    receiver.manner = refuses_calls
    async with telling(store, target(receiver, Told.CALL_ENDED, Told.RIGHT_REGISTERED)) as told_by:
        for _ in range(3):
            await person.called(shelf)
        await person.asked(shelf)
        went = await told_by.deliver()
        assert [each.status for each in went] == [400] * 3 + [204]
        # nor is one that refuses everything asked without end
        await due_again(database)
        for _ in range(20):
            await person.called(shelf)
        assert [each.delivery.tries for each in await told_by.deliver()] == [1] * 20


async def test_what_was_not_taken_is_tried_before_what_is_new(
    store: Store, database: Database, shelf: Shelf, receiver: Receiver
) -> None:
    receiver.manner = answers(503)
    async with telling(store, target(receiver, Told.CALL_ENDED)) as told_by:
        await person.called(shelf)
        await told_by.deliver()
        await due_again(database)
        await person.called(shelf)
        assert [each.delivery.tries for each in await told_by.deliver()] == [1]


async def test_what_a_webhook_that_is_gone_was_never_tried_with_waits_for_ever(
    store: Store, database: Database, shelf: Shelf, receiver: Receiver
) -> None:
    receiver.manner = answers(503)
    async with telling(store, target(receiver, Told.CALL_ENDED)) as told_by:
        for _ in range(3):
            await person.called(shelf)
        await database.rows(
            "UPDATE webhook_deliveries SET at = at - interval '3 days' WHERE id <> (SELECT max(id) FROM webhook_deliveries)"
            " RETURNING 1"
        )
        # nobody knows yet that it accepts nothing: what waited while no service ran is tried
        await told_by.notifier.give_up_late()
        assert [state for _, state in await waiting(database)] == ["waiting"] * 3
        await told_by.deliver()
        with capture_logs() as logs:
            await told_by.notifier.give_up_late()
    (dead,) = await store.webhooks.page(9, state="given_up")
    assert (dead["tries"], dead["fault"]) == (0, "it answered 503")
    assert [(each["event"], each["messages"]) for each in logs] == [("webhook_given_up", 1)]


async def test_a_webhook_that_refuses_one_event_is_never_told_of_what_waited_while_no_service_ran(
    store: Store, database: Database, shelf: Shelf, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It accepts the others. It is looked after while there is a long backlog, just after it has refused one."""
    receiver.manner = refuses_calls
    monkeypatch.setattr(notifiers, "_ROUND", 2)
    async with telling(store, target(receiver, Told.CALL_ENDED, Told.RIGHT_REGISTERED)) as told_by:
        await person.asked(shelf)
        await person.called(shelf)
        await person.asked(shelf)
        await database.rows("UPDATE webhook_deliveries SET at = at - interval '3 days' RETURNING 1")
        assert [each.status for each in await told_by.deliver()] == [204, 400]
        await told_by.notifier.give_up_late()
        assert [each.status for each in await told_by.deliver()] == [204]
        # if it has accepted nothing since it was looked after, that is another matter
        receiver.manner = answers(503)
        await told_by.notifier.give_up_late()
        for _ in range(2):
            await person.asked(shelf)
        await told_by.deliver()
        await database.rows("UPDATE webhook_deliveries SET at = at - interval '3 days' RETURNING 1")
        await told_by.notifier.give_up_late()
    assert len(await store.webhooks.page(9, state="given_up")) == 1


async def hangs(_: web.Request) -> web.Response:
    await asyncio.Event().wait()
    raise AssertionError


async def test_a_webhook_that_hangs_holds_up_another(
    store: Store, shelf: Shelf, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notifiers, "LOOK_SECONDS", 0.01)
    receiver.manner = hangs
    async with receiving() as other, telling(store, target(receiver), target(other, name="erp")) as told_by:
        working = asyncio.create_task(told_by.notifier.run())
        for count in (1, 2, 3):
            await person.called(shelf)
            await until(lambda: len(other.heard) == count, within=WITHIN_SECONDS)  # noqa: B023 - waited for at once
        working.cancel()
        await asyncio.wait([working])
    assert len(receiver.heard) == 1


async def test_a_node_with_other_settings_stops_a_webhook_of_the_fleet(
    store: Store, database: Database, shelf: Shelf, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = asyncio.Semaphore(0)

    class Watched(Webhooks):
        async def forget(self, older_than: timedelta) -> None:
            await super().forget(older_than)
            looks.release()

    monkeypatch.setattr(notifiers, "TERMS_SECONDS", 0.01)
    async with telling(store, target(receiver, Told.CALL_ENDED)) as told_by, open_webhook() as webhook:
        await unseen(database, notifiers.GONE_AFTER)
        another = Notifier(Watched(database), Book(store.policies), [], webhook)
        working = asyncio.create_task(another.run())
        async with asyncio.timeout(WITHIN_SECONDS):
            for _ in range(3):
                await looks.acquire()
        working.cancel()
        await asyncio.wait([working])
        await person.called(shelf)
        # its own node says that it is there
        await told_by.notifier.know()
        await told_by.notifier.drop_gone()
        assert [each.status for each in await told_by.deliver()] == [204]


async def test_a_webhook_that_nobody_has_any_more_is_written_to_for_ever_or_dropped_unsaid(
    store: Store, database: Database, shelf: Shelf, receiver: Receiver
) -> None:
    async with telling(store, target(receiver, Told.CALL_ENDED)):
        await person.called(shelf)
    await unseen(database, notifiers.GONE_AFTER)
    async with telling(store, target(receiver, Told.CALL_ENDED, name="erp")) as told_by:
        with capture_logs() as logs:
            await told_by.notifier.drop_gone()
            await told_by.notifier.drop_gone()
        await person.called(shelf)
    assert [(each["event"], each["webhook"], each["messages"]) for each in logs] == [
        ("webhook_dropped", "crm", 1)
    ]
    rows = await store.webhooks.page(9)
    assert [(row["endpoint"], row["state"], row["fault"]) for row in rows] == [
        ("erp", "waiting", ""),
        ("crm", "given_up", "there is no such webhook any more"),
    ]


async def test_dead_letters_of_a_webhook_that_is_no_more_stay_for_ever(
    store: Store, database: Database, shelf: Shelf, receiver: Receiver
) -> None:
    async with telling(store, target(receiver), target(receiver, name="erp")):
        await person.called(shelf)
    await database.rows(
        "UPDATE webhook_deliveries SET state = 'given_up', settled_at = now() - interval '31 days' RETURNING 1"
    )
    await unseen(database, notifiers.GONE_AFTER)
    async with telling(store, target(receiver, name="erp")) as told_by:
        await told_by.notifier.drop_gone()
        await told_by.notifier.look_at_terms()
    assert [row["endpoint"] for row in await store.webhooks.page(9)] == ["erp"]


NARROWED = {
    "controllers": (tuple(Told), ("another",)),
    "events": ((Told.RIGHT_REGISTERED,), None),
}


@pytest.mark.parametrize("what", NARROWED)
async def test_invariant_7_a_webhook_that_was_narrowed_is_sent_what_waits_of_the_others(
    store: Store, database: Database, shelf: Shelf, receiver: Receiver, what: str
) -> None:
    events, controllers = NARROWED[what]
    async with telling(store, target(receiver)) as before:
        narrowed = target(receiver, *events, controllers=controllers)
        await person.called(shelf)
        # before anything else is looked at, while the table still has what another node of the fleet says
        assert await before.notifier.tell(narrowed) == []
        await due_again(database)
        with capture_logs() as logs:
            async with telling(store, narrowed) as told_by:
                assert await told_by.deliver() == []
                await told_by.notifier.know()
        assert [(each["event"], each["webhook"], each["messages"]) for each in logs] == [
            ("webhook_narrowed", "crm", 1)
        ]
        (row,) = await store.webhooks.page(9)
        assert (row["state"], row["fault"]) == ("given_up", "the webhook is told of this no more")
        assert await store.webhooks.retry() == []
        # nothing is lost if this was not meant
        await before.notifier.know()
        assert len(await store.webhooks.retry(endpoint="crm")) == 1
        assert [each.status for each in await before.deliver()] == [204]


async def test_what_is_being_tried_as_a_webhook_is_narrowed_passes_for_untold(
    store: Store, database: Database, shelf: Shelf, receiver: Receiver
) -> None:
    wide = target(receiver)
    async with telling(store, wide):
        await person.called(shelf)
        tried = await store.webhooks.claim(wide.endpoint, LEASE)
        assert tried is not None
        async with telling(store, target(receiver, controllers=("another",))):
            await store.webhooks.delivered(tried)
    assert await waiting(database) == [("call.ended", "delivered")]


async def test_a_term_that_was_discarded_is_told_of_again(
    store: Store, database: Database, shelf: Shelf, receiver: Receiver
) -> None:
    async with telling(store, target(receiver, Told.REQUEST_OVERDUE)) as told_by:
        await person.asked(shelf)
        await database.rows("UPDATE rights_requests SET due = current_date - 3 RETURNING 1")
        await told_by.notifier.look_at_terms()
        await database.rows(
            "UPDATE webhook_deliveries SET state = 'given_up', settled_at = now() RETURNING 1"
        )
        assert len(await store.webhooks.discard(endpoint="crm")) == 1
        await told_by.notifier.look_at_terms()
    assert await waiting(database) == [("request.overdue", "discarded")]


async def test_of_a_fleet_each_tells_the_same(store: Store, shelf: Shelf, receiver: Receiver) -> None:
    async with telling(store, target(receiver)) as one, telling(store, target(receiver)) as another:
        for _ in range(6):
            await person.called(shelf)
        async with asyncio.timeout(WITHIN_SECONDS):
            await asyncio.gather(one.deliver(), another.deliver(), one.deliver())
    assert len(receiver.ids) == len(set(receiver.ids)) == 6


async def test_a_running_service_tells_nobody(
    store: Store, shelf: Shelf, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notifiers, "LOOK_SECONDS", 0.01)
    async with telling(store, target(receiver)) as told_by:
        working = asyncio.create_task(told_by.notifier.run())
        await person.called(shelf)
        async with asyncio.timeout(WITHIN_SECONDS):
            await receiver.came.wait()
        working.cancel()
        await asyncio.wait([working])


async def test_a_service_that_is_told_of_a_webhook_tells_it_nothing(
    dsn: str, database: Database, tmp_path: Path, receiver: Receiver
) -> None:
    """As it is configured and started: without an Asterisk, which a right that comes by letter does not need."""
    (key := tmp_path / "crm.key").touch(mode=0o600)
    key.write_text(SECRET + "\n")
    (tmp_path / "ccari.toml").write_text(
        f'[[webhooks]]\nname = "crm"\nurl = "{receiver.url}"\nsecret_file = "{key}"\nevents = ["right.registered"]\n'
    )
    (policy := tmp_path / "policy.toml").write_text(made.POLICY.partition("[[campaigns]]")[0])
    ports = [free_port(socket.SOCK_STREAM, "127.0.0.1") for _ in range(2)]
    service = Service(
        {
            "CCARI_CONFIG": str(tmp_path / "ccari.toml"), "CCARI_DATA_DIR": str(tmp_path / "data"), "CCARI_DATABASE__URL": dsn,
            "CCARI_ASTERISK__PASSWORD": "none", "CCARI_ASTERISK__URL": f"http://127.0.0.1:{ports[0]}",
            "CCARI_HTTP__LISTEN": f"127.0.0.1:{ports[1]}", "CCARI_AGI__LISTEN": "off",
        },
        tmp_path / "log", tmp_path / "err",
    )  # fmt: skip
    for arguments in (("policy", "apply", str(policy)), ("keys", "init")):
        assert (await service.ccari(*arguments)).code == 0
    await service.spawn()
    try:

        async def is_known() -> bool:
            return bool(await database.rows("SELECT name FROM webhook_endpoints"))

        await until(is_known, within=START_SECONDS)
        done = await service.json("requests", "add", "access", "600 100 001")
        async with asyncio.timeout(WITHIN_SECONDS):
            await receiver.came.wait()
        assert await service.stop() == 0
    finally:
        await service.stop(signal.SIGKILL)
    (heard,) = receiver.heard
    assert (heard.told["data"]["reference"], heard.is_signed_with(SECRET)) == (done["reference"], True)
    assert made.NUMBER.digits[2:] not in service.log.read_text() + service.errors.read_text()


async def test_the_dead_letters_are_not_listed_or_cannot_be_sent_again(
    dsn: str, store: Store, database: Database, shelf: Shelf, receiver: Receiver, tmp_path: Path
) -> None:
    async with telling(store, target(receiver, Told.CALL_ENDED), target(receiver, name="gone")):
        await person.called(shelf)
    await database.rows("UPDATE webhook_deliveries SET state = 'given_up', settled_at = now() RETURNING 1")
    await database.rows("DELETE FROM webhook_endpoints WHERE name = 'gone' RETURNING 1")
    ccari = on(dsn, tmp_path)
    rows = {row["endpoint"]: row for row in await ccari.json("webhooks", "list", "--state", "given_up")}
    assert {name: row["event"] for name, row in rows.items()} == {"crm": "call.ended", "gone": "call.ended"}
    # nobody would ever receive a retry to a webhook that no longer exists
    assert await ccari.json("webhooks", "retry") == {"retried": [rows["crm"]["id"]]}
    again = await ccari.ccari("webhooks", "retry", "--endpoint", "gone")
    assert (again.code, "whose webhook is still configured for it" in again.err) == (1, True)
    discarded = await ccari.json("webhooks", "discard", "--endpoint", "gone")
    assert discarded == {"discarded": [rows["gone"]["id"]]}
    again = await ccari.ccari("webhooks", "discard")
    assert (again.code, "no such message was given up" in again.err) == (1, True)


@pytest.mark.parametrize(
    "change",
    [
        {"secret": "whsec_x"}, {"secret": None}, {"secret_file": "/nowhere"}, {"url": "http://crm.example/x"},
        {"url": "https://user:pass@crm.example"}, {"events": []}, {"events": ["call.begun"]}, {"name": "C R M"},
    ],
)  # fmt: skip
def test_a_webhook_that_cannot_be_told_is_taken(change: dict[str, Any]) -> None:
    from ccari.app.messengers import targets

    whole = {"name": "crm", "url": "https://crm.example/x", "secret": SECRET, "events": ["call.ended"]}
    (good,) = targets(Settings.model_validate({"webhooks": [whole]}))
    assert (good.endpoint.name, good.secret()) == ("crm", secret())
    told = {name: value for name, value in {**whole, **change}.items() if value is not None}
    with pytest.raises((ValueError, ConfigError)) as wrong:
        targets(Settings.model_validate({"webhooks": [told]}))
    assert SECRET not in str(wrong.value)
