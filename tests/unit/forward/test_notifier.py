"""Webhooks of the centre's own: told of what happened, for as long as it takes, and of nothing that did not."""

import asyncio
import contextlib
import signal
import socket
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from ccari.config import Settings
from ccari.errors import ConfigError
from ccari.forward import notifier as notifiers
from ccari.forward.notifier import Notifier, Target
from ccari.forward.secret import decoded
from ccari.forward.webhook import open_webhook
from ccari.policy.rights import Right
from ccari.ports.webhooks import Endpoint, Told
from ccari.store.database import Database
from ccari.store.opened import Store
from ccari.store.policies import Book
from tests.integration.service import START_SECONDS, Service
from tests.lab.ports import free_port
from tests.lab.waiting import until
from tests.unit.forward.receiver import Receiver, answers, receiving
from tests.unit.store import made, person
from tests.unit.store.kept import Shelf
from tests.unit.store.test_listening_commands import put
from tests.unit.store.test_request_commands import on

SECRET = "whsec_" + "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo="
WITHIN_SECONDS = 10.0


@pytest.fixture
def shelf(store: Store, database: Database, tmp_path: Path) -> Shelf:
    return Shelf(store, database, tmp_path / "recordings")


def secret() -> bytes:
    found = decoded(SECRET)
    assert found is not None
    return found


def target(
    receiver: Receiver, *events: Told, name: str = "crm", controllers: tuple[str, ...] | None = None
) -> Target:
    return Target(Endpoint(name, events or tuple(Told), controllers), receiver.url, secret)


@contextlib.asynccontextmanager
async def telling(store: Store, *targets: Target) -> AsyncIterator[Notifier]:
    async with open_webhook() as webhook:
        notifier = Notifier(store.webhooks, Book(store.policies), targets, webhook, lambda: 0.0)
        await notifier.know()
        yield notifier


async def waiting(database: Database) -> list[tuple[str, str]]:
    rows = await database.rows("SELECT event, state FROM webhook_deliveries ORDER BY id")
    return [(row["event"], row["state"]) for row in rows]


async def test_what_happens_is_not_told_or_unsigned_or_with_a_number(
    store: Store, database: Database, shelf: Shelf, receiver: Receiver, tmp_path: Path
) -> None:
    with capture_logs() as logs:
        async with telling(store, target(receiver)) as notifier:
            call = await person.called(shelf)
            reference = await person.asked(shelf, Right.ERASURE)
            recording = await put(store, tmp_path / "recordings", None)
            await notifier.deliver()
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


async def test_what_was_taken_back_is_told(
    store: Store, database: Database, shelf: Shelf, receiver: Receiver
) -> None:
    async with telling(store, target(receiver)) as notifier:
        call = await shelf.call()
        with contextlib.suppress(ZeroDivisionError):
            async with database.transaction() as connection:
                await connection.execute(
                    "UPDATE calls SET ended_at = now(), outcome = 'busy' WHERE id = $1", call.id
                )
                raise ZeroDivisionError
        assert await notifier.deliver() == []
    assert await waiting(database) == []


async def test_nobody_who_asks_for_it_is_told_or_somebody_who_does_not(
    store: Store, database: Database, shelf: Shelf, receiver: Receiver
) -> None:
    await person.called(shelf)
    assert await waiting(database) == []
    async with receiving() as other:
        mine = target(receiver, Told.RIGHT_REGISTERED, controllers=("acme",))
        theirs = target(other, Told.RIGHT_REGISTERED, Told.CALL_ENDED, name="erp", controllers=("other",))
        async with telling(store, mine, theirs) as notifier:
            await person.called(shelf)
            await person.asked(shelf)
            await notifier.deliver()
        assert [each.told["type"] for each in receiver.heard] == ["right.registered"]
        assert other.heard == []
        receiver.manner = answers(500)
        await person.asked(shelf, Right.ACCESS)
        # a webhook that is no longer configured is told of nothing that waited for it
        async with telling(store, theirs) as notifier:
            assert await notifier.deliver() == []
    rows = await store.webhooks.page(9, state="given_up")
    assert [(row["endpoint"], row["fault"]) for row in rows] == [("crm", "there is no such webhook any more")]


async def test_a_day_that_has_come_is_told_twice_or_never(
    store: Store, database: Database, shelf: Shelf, receiver: Receiver
) -> None:
    async with telling(store, target(receiver, Told.REQUEST_DUE_SOON, Told.REQUEST_OVERDUE)) as notifier:
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
            await notifier.look_at_terms()
            await notifier.deliver()
        told = [(each.told["type"], each.told["data"]["reference"]) for each in receiver.heard]
        assert sorted(told) == [("request.due_soon", soon), ("request.overdue", over)]
        # another term, as after an extension, is told of by itself; and what is answered no more
        await due(soon, 5)
        await person.resolved(shelf, over)
        await notifier.look_at_terms()
        await notifier.deliver()
        assert [each.told["data"]["reference"] for each in receiver.heard[2:]] == [soon]


async def test_what_is_not_taken_is_lost_or_sent_without_a_pause(
    store: Store, database: Database, shelf: Shelf, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    receiver.manner = answers(503, retry_after="7200")
    async with telling(store, target(receiver, Told.CALL_ENDED)) as notifier:
        for _ in range(2):
            await person.called(shelf)
        (sent,) = await notifier.deliver()
        assert (sent.status, sent.given_up, sent.fault) == (503, False, "it answered 503")
        (row,) = await database.rows(
            "SELECT tries, next_try_at - now() > interval '1 hour' AS paused FROM webhook_deliveries WHERE tries > 0"
        )
        assert row == {"tries": 1, "paused": True}
        # the other goes at once, and then there is nothing to be sent for now
        assert [each.delivery.tries for each in await notifier.deliver()] == [1]
        assert await notifier.deliver() == []
        # the last try: what is not taken then is a dead letter, until somebody says otherwise
        monkeypatch.setattr(notifiers, "PATIENCE", timedelta(0))
        await database.rows("UPDATE webhook_deliveries SET next_try_at = now() RETURNING 1")
        assert [each.given_up for each in await notifier.deliver()] == [True]
        (dead,) = await store.webhooks.page(9, state="given_up")
        assert (dead["tries"], dead["fault"]) == (2, "it answered 503")
        receiver.manner = answers(204)
        assert await store.webhooks.retry(dead["id"] + 1000) == []
        assert await store.webhooks.retry(dead["id"]) == [dead["id"]]
        assert {each.status for each in await notifier.deliver()} == {204}
    assert receiver.ids.count(str(dead["message"])) == 3
    assert await waiting(database) == [("call.ended", "delivered")] * 2


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
    async with telling(store, target(receiver)) as notifier:
        working = asyncio.create_task(notifier.run())
        await person.called(shelf)
        async with asyncio.timeout(WITHIN_SECONDS):
            await receiver.came.wait()
        working.cancel()
        await asyncio.wait([working])


async def test_a_service_that_is_told_of_a_webhook_tells_it_nothing(
    dsn: str, database: Database, tmp_path: Path, receiver: Receiver
) -> None:
    """As it is configured, and started: without an Asterisk, which a right that comes by letter needs none of."""
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
    dsn: str, store: Store, shelf: Shelf, receiver: Receiver, tmp_path: Path
) -> None:
    async with telling(store, target(receiver, Told.CALL_ENDED)):
        await person.called(shelf)
    async with telling(store):
        pass
    ccari = on(dsn, tmp_path)
    (row,) = await ccari.json("webhooks", "list", "--state", "given_up")
    assert (row["endpoint"], row["event"]) == ("crm", "call.ended")
    assert await ccari.json("webhooks", "retry", str(row["id"])) == {"retried": [row["id"]]}
    again = await ccari.ccari("webhooks", "retry")
    assert (again.code, "nothing of the kind was given up" in again.err) == (1, True)


@pytest.mark.parametrize(
    "change",
    [
        {"secret": "whsec_x"}, {"secret": None}, {"secret_file": "/nowhere"}, {"url": "http://crm.example/x"},
        {"url": "https://user:pass@crm.example"}, {"events": []}, {"events": ["call.begun"]}, {"name": "C R M"},
    ],
)  # fmt: skip
def test_a_webhook_that_cannot_be_told_is_taken(change: dict[str, Any]) -> None:
    from ccari.app import targets

    whole = {"name": "crm", "url": "https://crm.example/x", "secret": SECRET, "events": ["call.ended"]}
    (good,) = targets(Settings.model_validate({"webhooks": [whole]}))
    assert (good.endpoint.name, good.secret()) == ("crm", secret())
    told = {name: value for name, value in {**whole, **change}.items() if value is not None}
    with pytest.raises((ValueError, ConfigError)) as wrong:
        targets(Settings.model_validate({"webhooks": [told]}))
    assert SECRET not in str(wrong.value)
