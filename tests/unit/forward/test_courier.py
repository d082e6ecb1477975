"""The courier: a controller is told at once, it is tried for as long as it takes, and nobody else is told."""

import asyncio
import contextlib
import json
import re
import socket
import threading
import zlib
from collections.abc import AsyncIterator, Callable, Collection
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import http_parser, web
from structlog.testing import capture_logs

from ccari.app.messengers import forwarding
from ccari.config import Settings
from ccari.errors import StoreError
from ccari.forward import courier as couriers
from ccari.forward import folder as folders
from ccari.forward import webhook as webhooks
from ccari.forward.courier import Courier, Told, pause
from ccari.forward.secret import WebhookSecrets
from ccari.forward.webhook import open_webhook
from ccari.keyring.files import settle
from ccari.policy.rights import RequestState, Right
from ccari.ports.metering import UNMETERED
from ccari.store.database import Database
from ccari.store.forwards import Forwards
from ccari.store.opened import Store
from ccari.store.policies import Book
from tests.lab.ports import free_port
from tests.lab.waiting import until
from tests.unit.forward.receiver import Receiver, answers, receiving, takes
from tests.unit.store import made
from tests.unit.store.test_forwards import HANDLING, added, later, queue

WITHIN_SECONDS = 30.0
LONG = timedelta(days=1)


def policy(**forwards: str | None) -> str:
    """The made policy, in which its controller and others forward to these places: an inline table, or None."""
    first, rest = made.POLICY.split("\n[[campaigns]]", 1)
    declared = []
    for controller, forward in forwards.items():
        table = first if controller == "acme" else first.replace('"acme"', f'"{controller}"')
        declared.append(table + (f"forward = {forward}\n" if forward else ""))
    return "".join(declared) + "\n[[campaigns]]" + rest


@pytest.fixture
def keys(tmp_path: Path) -> WebhookSecrets:
    secrets = WebhookSecrets(tmp_path / "keys")
    for controller in ("acme", "other"):
        secrets.create(controller)
    return secrets


@contextlib.asynccontextmanager
async def at_work(store: Store, keys: WebhookSecrets) -> AsyncIterator[Courier]:
    async with open_webhook() as webhook:
        yield Courier(store.forwards, Book(store.policies), keys, webhook, lambda: 0.0)


async def to_webhook(store: Store, receiver: Receiver) -> None:
    await store.policies.apply(policy(acme=f'{{ url = "{receiver.url}" }}'), "test")


async def test_a_request_is_forwarded_unsigned_or_with_its_number_in_the_open(
    store: Store, database: Database, keys: WebhookSecrets, receiver: Receiver
) -> None:
    await to_webhook(store, receiver)
    reference = await added(store, right=Right.ERASURE)
    with capture_logs() as logs:
        async with at_work(store, keys) as courier:
            await courier.deliver()
    (heard,) = receiver.heard
    assert heard.is_signed_with(keys.path("acme").read_text().strip())
    assert not heard.is_signed_with(keys.path("other").read_text().strip())
    assert (heard.path, receiver.changes) == ("/rodo", [f"{reference}-1"])
    assert heard.headers["content-type"] == "application/json"
    assert (heard.told["type"], heard.told["number"]) == ("request.received", made.NUMBER.e164)
    (line,) = logs
    assert {name: line[name] for name in ("event", "reference", "tries", "status")} == {
        "event": "request_forwarded", "reference": reference, "tries": 1, "status": 204,
    }  # fmt: skip
    in_the_open = [heard.path, *heard.headers.values(), json.dumps(logs, default=str)]
    assert not any(made.NUMBER.digits in text for text in in_the_open)
    assert await queue(database) == ["delivered"]


async def test_a_change_is_forwarded_before_what_led_to_it(
    store: Store, keys: WebhookSecrets, receiver: Receiver
) -> None:
    await to_webhook(store, receiver)
    reference = await added(store)
    await store.requests.step(reference, RequestState.IN_PROGRESS, HANDLING)
    await store.requests.step(reference, RequestState.REFUSED, HANDLING)
    async with at_work(store, keys) as courier:
        await courier.deliver()
    assert [(each.told["sequence"], each.told["state"], each.told["type"]) for each in receiver.heard] == [
        (1, "received", "request.received"), (2, "in_progress", "request.changed"), (3, "refused", "request.changed"),
    ]  # fmt: skip
    assert receiver.heard[-1].told["reason"] == "because"
    assert [each.told["number"] for each in receiver.heard] == [made.NUMBER.e164, made.NUMBER.e164, None]


@pytest.mark.parametrize("status", [300, 301, 302, 307, 308, 400, 404, 410, 500, 503])
async def test_a_webhook_that_took_nothing_is_done_with(
    store: Store, database: Database, keys: WebhookSecrets, receiver: Receiver, status: int
) -> None:
    await to_webhook(store, receiver)
    reference = await added(store)
    receiver.manner = answers(status, location="/elsewhere")
    async with at_work(store, keys) as courier:
        with capture_logs() as logs:
            (told,) = await courier.deliver()
        assert (told.status, told.given_up) == (status, False)
        assert f"it answered {status}" in told.fault
        assert ("redirects are not followed" in told.fault) is (status < 400)
        assert [(each["event"], each["status"]) for each in logs] == [("request_not_forwarded", status)]
        # nobody was sent elsewhere, nor told again at once
        assert await courier.deliver() == []
        assert [each.path for each in receiver.heard] == ["/rodo"]
        receiver.manner = answers(200)
        await later(database, by=LONG)
        (told,) = await courier.deliver()
    assert (told.tries, told.fault) == (2, "")
    assert receiver.changes == [f"{reference}-1"] * 2
    assert len(set(receiver.ids)) == 1
    assert await queue(database) == ["delivered"]


async def hangs(_: web.Request) -> web.StreamResponse:
    await asyncio.Event().wait()
    raise AssertionError


async def babbles(request: web.Request) -> web.StreamResponse:
    answer = web.StreamResponse()
    await answer.prepare(request)
    with contextlib.suppress(ConnectionError):
        while True:
            await answer.write(b"x" * 65536)
    return answer


async def test_a_webhook_that_says_nothing_is_waited_for(
    store: Store, keys: WebhookSecrets, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhooks, "TIMEOUT_SECONDS", 0.2)
    await to_webhook(store, receiver)
    await added(store)
    receiver.manner = hangs
    async with at_work(store, keys) as courier, asyncio.timeout(WITHIN_SECONDS):
        (told,) = await courier.deliver()
    assert (told.status, told.fault) == (None, "webhook: it did not answer within 0.2 s")


async def test_an_answer_without_end_is_read(store: Store, keys: WebhookSecrets, receiver: Receiver) -> None:
    await to_webhook(store, receiver)
    await added(store)
    receiver.manner = babbles
    async with at_work(store, keys) as courier, asyncio.timeout(WITHIN_SECONDS):
        (told,) = await courier.deliver()
    assert (told.status, told.fault) == (200, "")


async def test_an_answer_is_unpacked_while_all_calls_wait(
    store: Store, keys: WebhookSecrets, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    unpacked, unpack = [], http_parser.DeflateBuffer.feed_data

    def fed(buffer: http_parser.DeflateBuffer, chunk: bytes, size: int) -> bool:
        unpacked.append(len(chunk))
        return unpack(buffer, chunk, size)

    async def swells(_: web.Request) -> web.Response:
        return web.Response(body=zlib.compress(bytes(1_000_000)), headers={"content-encoding": "deflate"})

    monkeypatch.setattr(http_parser.DeflateBuffer, "feed_data", fed)
    receiver.manner = swells
    await to_webhook(store, receiver)
    await added(store)
    async with at_work(store, keys) as courier:
        assert [told.fault for told in await courier.deliver()] == [""]
    assert (receiver.heard[0].headers["accept-encoding"], unpacked) == ("identity", [])


async def rude(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(1)
    writer.write(b"220 mail.example ESMTP\r\n")
    writer.close()


async def gone(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(1)
    writer.close()


async def delivered_to(manners: Callable[..., Any], store: Store, keys: WebhookSecrets) -> Told:
    """What came of one message to a program with these manners at the webhook's port."""
    async with await asyncio.start_server(manners, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        await store.policies.apply(policy(acme=f'{{ url = "http://127.0.0.1:{port}/" }}'), "test")
        await added(store)
        async with at_work(store, keys) as courier:
            (told,) = await courier.deliver()
    return told


@pytest.mark.parametrize("manners", [rude, gone])
async def test_another_program_at_the_port_ends_the_courier(
    store: Store, keys: WebhookSecrets, manners: Callable[..., Any]
) -> None:
    told = await delivered_to(manners, store, keys)
    assert told.status is None
    kinds = "its answer is not valid HTTP: .*|it cannot be reached: .*|the connection ended before it had answered"
    assert re.fullmatch(f"webhook: ({kinds})", told.fault)


async def test_a_webhook_that_hangs_up_is_told_of_by_the_name_of_an_exception(
    store: Store, keys: WebhookSecrets
) -> None:
    async def hangs_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head.lower())
        assert length is not None
        # unread bytes would make it a reset
        await reader.readexactly(int(length[1]))
        writer.close()

    told = await delivered_to(hangs_up, store, keys)
    assert told.fault == "webhook: the connection ended before it had answered"


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://127.0.0.1:{port}/s3cret", "it cannot be reached: Connection refused"),
        ("https://no-such-host.invalid/s3cret", "its host is not known"),
    ],
)
async def test_a_webhook_that_is_away_is_told_of_with_its_url(
    store: Store, keys: WebhookSecrets, url: str, words: str
) -> None:
    target = url.format(port=free_port(socket.SOCK_STREAM, "127.0.0.1"))
    await store.policies.apply(policy(acme=f'{{ url = "{target}" }}'), "test")
    await added(store)
    with capture_logs() as logs:
        async with at_work(store, keys) as courier:
            (told,) = await courier.deliver()
    assert told.fault == f"webhook: {words}"
    assert "s3cret" not in json.dumps(logs, default=str)


async def test_a_webhook_without_tls_is_given_a_number(
    store: Store, keys: WebhookSecrets, receiver: Receiver
) -> None:
    await store.policies.apply(
        policy(acme=f'{{ url = "{receiver.url.replace("http:", "https:")}" }}'), "test"
    )
    await added(store)
    async with at_work(store, keys) as courier:
        (told,) = await courier.deliver()
    # OpenSSL words this differently in each version
    assert told.fault in {
        f"webhook: it cannot be reached by TLS: {reason}"
        for reason in ("wrong version number", "record layer failure")
    }
    assert receiver.heard == []


async def test_a_service_that_dies_between_sending_and_noting_it_loses_or_renames_the_change(
    store: Store, database: Database, keys: WebhookSecrets, receiver: Receiver
) -> None:
    """It is told at least once: the second time with the same id and the same words, by which a receiver can tell."""
    await to_webhook(store, receiver)
    reference = await added(store)
    receiver.manner = hangs
    async with at_work(store, keys) as courier:
        dying = asyncio.create_task(courier.deliver())
        async with asyncio.timeout(WITHIN_SECONDS):
            await receiver.came.wait()
        dying.cancel()
        await asyncio.wait([dying])
    receiver.manner = answers(200)
    async with at_work(store, keys) as courier:
        assert await courier.deliver() == []
        await later(database, by=couriers.LEASE)
        await courier.deliver()
    assert receiver.changes == [f"{reference}-1"] * 2
    assert len(set(receiver.ids)) == 1
    assert receiver.heard[0].body == receiver.heard[1].body
    assert await queue(database, "state, tries") == [("delivered", 2)]


async def test_a_change_that_went_but_could_not_be_noted_is_taken_for_delivered(
    store: Store, database: Database, keys: WebhookSecrets, receiver: Receiver
) -> None:
    await to_webhook(store, receiver)
    await added(store)
    async with at_work(store, keys) as courier:
        await database.rows("ALTER TABLE forwards ADD CONSTRAINT never CHECK (state <> 'delivered')")
        with pytest.raises(StoreError, match="never"):
            await courier.deliver()
        await database.rows("ALTER TABLE forwards DROP CONSTRAINT never")
        await later(database, by=couriers.LEASE)
        await courier.deliver()
    assert len(set(receiver.ids)) == 1
    assert len(receiver.ids) == 2
    assert await queue(database) == ["delivered"]


async def test_services_on_one_database_tell_a_controller_twice(
    store: Store, keys: WebhookSecrets, receiver: Receiver
) -> None:
    await to_webhook(store, receiver)
    references = [await added(store) for _ in range(30)]
    async with at_work(store, keys) as one, at_work(store, keys) as another, at_work(store, keys) as third:
        await asyncio.gather(*(each.deliver() for each in (one, another, third)))
    assert sorted(receiver.changes) == [f"{reference}-1" for reference in references]


async def test_a_controllers_request_goes_to_another(
    store: Store, database: Database, keys: WebhookSecrets, receiver: Receiver
) -> None:
    """Invariant 7. Nor to anybody, if the policy names nobody."""
    async with receiving() as others:
        await store.policies.apply(
            policy(acme=f'{{ url = "{receiver.url}" }}', other=f'{{ url = "{others.url}" }}', third=None),
            "test",
        )
        mine, theirs, _ = [await added(store, controller) for controller in ("acme", "other", "third")]
        async with at_work(store, keys) as courier:
            await courier.deliver()
        assert (receiver.changes, others.changes) == ([f"{mine}-1"], [f"{theirs}-1"])
        assert others.heard[0].is_signed_with(keys.path("other").read_text().strip())
    assert sorted(await queue(database)) == ["delivered", "delivered", "not_needed"]


async def test_a_policy_that_forwards_from_now_on_leaves_what_is_open(
    store: Store, database: Database, keys: WebhookSecrets, receiver: Receiver
) -> None:
    """Although nothing new makes the courier look."""
    reference = await added(store)
    async with at_work(store, keys) as courier:
        assert await courier.deliver() == []
        assert await queue(database) == ["not_needed"]
        await to_webhook(store, receiver)
        await courier.deliver()
    assert receiver.changes == [f"{reference}-1"]


async def test_what_could_not_be_addressed_once_is_never_sent(
    store: Store, database: Database, keys: WebhookSecrets, receiver: Receiver
) -> None:
    reference = await added(store)
    async with at_work(store, keys) as courier:
        await courier.deliver()
        await to_webhook(store, receiver)
        await database.rows("ALTER TABLE forwards ADD CONSTRAINT never CHECK (state <> 'waiting') NOT VALID")
        with pytest.raises(StoreError, match="never"):
            await courier.deliver()
        await database.rows("ALTER TABLE forwards DROP CONSTRAINT never")
        await courier.deliver()
    assert receiver.changes == [f"{reference}-1"]


async def test_a_policy_that_comes_while_the_one_before_is_addressed_is_taken_for_addressed(
    store: Store, keys: WebhookSecrets, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The book is shared: anyone else who looks into it reloads it."""
    reference, address = await added(store), Forwards.address

    async with at_work(store, keys) as courier:

        async def meanwhile(queue: Forwards, told_to: Collection[str]) -> None:
            await address(queue, told_to)
            await to_webhook(store, receiver)
            await courier._book.reload()

        with monkeypatch.context() as patch:
            patch.setattr(Forwards, "address", meanwhile)
            assert await courier.deliver() == []
        await courier.deliver()
    assert receiver.changes == [f"{reference}-1"]


async def test_a_controller_whose_webhook_hangs_holds_up_another(
    store: Store, keys: WebhookSecrets, receiver: Receiver
) -> None:
    async with receiving() as others:
        await store.policies.apply(
            policy(acme=f'{{ url = "{receiver.url}" }}', other=f'{{ url = "{others.url}" }}'), "test"
        )
        receiver.manner = hangs
        await added(store)
        await added(store, "other")
        async with at_work(store, keys) as courier, asyncio.timeout(WITHIN_SECONDS):
            working = asyncio.create_task(courier.deliver())
            await receiver.came.wait()
            await others.came.wait()
            working.cancel()
            await asyncio.wait([working])


async def test_a_controller_whose_webhook_hangs_holds_up_what_another_is_told_later(
    store: Store, keys: WebhookSecrets, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(couriers, "LOOK_SECONDS", 0.01)
    async with receiving() as others:
        await store.policies.apply(
            policy(acme=f'{{ url = "{receiver.url}" }}', other=f'{{ url = "{others.url}" }}'), "test"
        )
        receiver.manner = hangs
        await added(store)
        async with at_work(store, keys) as courier:
            working = asyncio.create_task(courier.run())
            for count in (1, 2, 3):
                await added(store, "other")
                await until(lambda: len(others.heard) == count, within=WITHIN_SECONDS)  # noqa: B023 - waited for at once
            working.cancel()
            await asyncio.wait([working])
    assert len(receiver.heard) == 1


async def test_a_webhook_that_fails_is_sent_all_that_waits(
    store: Store, database: Database, keys: WebhookSecrets, receiver: Receiver
) -> None:
    await to_webhook(store, receiver)
    receiver.manner = answers(503)
    for _ in range(5):
        await added(store)
    async with at_work(store, keys) as courier:
        await courier.deliver()
        assert len(receiver.heard) == 1
        # what was not tried is still due, and is not held up by the one that failed
        receiver.manner = answers(200)
        await courier.deliver()
    assert sorted(await queue(database)) == ["delivered"] * 4 + ["waiting"]


async def refuses_erasures(request: web.Request) -> web.Response:
    return web.Response(status=422 if (await request.json())["right"] == "erasure" else 204)


async def test_a_message_that_a_controller_refuses_holds_up_those_that_it_takes(
    store: Store, database: Database, keys: WebhookSecrets, receiver: Receiver
) -> None:
    await to_webhook(store, receiver)
    receiver.manner = refuses_erasures
    refused = [await added(store, right=Right.ERASURE) for _ in range(3)]
    taken = await added(store)
    async with at_work(store, keys) as courier:
        went = await courier.deliver()
        assert [(each.reference, each.status) for each in went] == [
            *((each, 422) for each in refused), (taken, 204),
        ]  # fmt: skip
        # nor is one that refuses everything asked without end
        await later(database, by=LONG)
        for _ in range(couriers._REFUSALS):
            await added(store, right=Right.ERASURE)
        assert len(await courier.deliver()) == couriers._REFUSALS


async def test_a_file_in_the_place_of_one_message_holds_up_the_others(
    store: Store, keys: WebhookSecrets, tmp_path: Path
) -> None:
    """As when a restored database gives references out again."""
    (drop := tmp_path / "drop").mkdir()
    await store.policies.apply(policy(acme=f'{{ folder = "{drop}" }}'), "test")
    occupied, free = await added(store), await added(store)
    (drop / f"{occupied}-1.json").write_text("{}")
    async with at_work(store, keys) as courier:
        assert [(each.reference, bool(each.fault)) for each in await courier.deliver()] == [
            (occupied, True), (free, False),
        ]  # fmt: skip


async def wait_for_hours(database: Database) -> None:
    """All that waits has failed so often that its next try is far away."""
    await database.rows(
        "UPDATE forwards SET next_try_at = now() + interval '6 hours' WHERE state = 'waiting' RETURNING 1"
    )


async def test_what_waits_for_a_controller_that_was_away_is_sent_hours_after_it_is_back(
    store: Store,
    database: Database,
    keys: WebhookSecrets,
    receiver: Receiver,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await to_webhook(store, receiver)
    receiver.manner = answers(503)
    waits = [await added(store) for _ in range(3)]
    async with at_work(store, keys) as courier:
        for _ in waits:
            await courier.deliver()
        await wait_for_hours(database)
        receiver.manner, receiver.heard = takes, []
        new = await added(store)
        # as after a few minutes, in which a message that fails alone must not have all others tried again
        await courier.deliver()
        assert receiver.changes == [f"{new}-1"]
        receiver.manner = answers(503)
        await added(store)
        await courier.deliver()
        monkeypatch.setattr(couriers, "AWAY_SECONDS", 0.0)
        receiver.manner, receiver.heard = takes, []
        new = await added(store)
        await courier.deliver()
    assert receiver.changes == [f"{new}-1", *(f"{each}-1" for each in waits)]


async def test_a_controller_that_refuses_a_message_is_taken_for_one_that_was_away(
    store: Store,
    database: Database,
    keys: WebhookSecrets,
    receiver: Receiver,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It would be asked again with each message that it takes."""
    monkeypatch.setattr(couriers, "AWAY_SECONDS", 0.0)
    await to_webhook(store, receiver)
    receiver.manner = refuses_erasures
    refused = await added(store, right=Right.ERASURE)
    async with at_work(store, keys) as courier:
        await courier.deliver()
        await wait_for_hours(database)
        await added(store)
        await courier.deliver()
        await courier.deliver()
    assert receiver.changes.count(f"{refused}-1") == 1


async def breaks_at_erasures(request: web.Request) -> web.Response:
    return web.Response(status=500 if (await request.json())["right"] == "erasure" else 204)


async def test_what_a_controllers_server_breaks_at_is_tried_without_its_pauses(
    store: Store,
    database: Database,
    keys: WebhookSecrets,
    receiver: Receiver,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Trying hundreds of those takes longer than a controller must be away: all would be tried again after each message that it takes."""
    monkeypatch.setattr(couriers, "AWAY_SECONDS", 0.0)
    await to_webhook(store, receiver)
    receiver.manner = breaks_at_erasures
    broken = await added(store, right=Right.ERASURE)
    async with at_work(store, keys) as courier:
        await courier.deliver()
        for _ in range(3):
            await wait_for_hours(database)
            await added(store)
            await courier.deliver()
    assert receiver.changes.count(f"{broken}-1") == 2
    assert len(set(receiver.changes)) == 4


@pytest.mark.parametrize(
    ("asked", "waits"),
    [("3600", timedelta(hours=1)), ("99999", couriers.LONGEST_PAUSE), ("5", timedelta(seconds=60)),
     ("Wed, 25 Nov 2026 10:00:00 GMT", timedelta(seconds=60)), ("9" * 400, timedelta(seconds=60))],
)  # fmt: skip
async def test_a_webhook_that_asks_to_be_left_alone_is_not_or_for_ever(
    store: Store, database: Database, keys: WebhookSecrets, receiver: Receiver, asked: str, waits: timedelta
) -> None:
    await to_webhook(store, receiver)
    await added(store)
    receiver.manner = answers(429, retry_after=asked)
    async with at_work(store, keys) as courier:
        await courier.deliver()
    (pause_,) = await queue(database, "next_try_at - first_try_at")
    assert waits <= pause_ < waits + timedelta(seconds=WITHIN_SECONDS)


async def test_a_webhook_that_asks_to_be_left_alone_is_sent_the_next_message_two_seconds_later(
    store: Store, keys: WebhookSecrets, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that bans whoever does not heed it would take none of thousands. Other controllers do not wait, nor does this one for ever."""
    async with receiving() as others:
        await store.policies.apply(
            policy(acme=f'{{ url = "{receiver.url}" }}', other=f'{{ url = "{others.url}" }}'), "test"
        )
        receiver.manner = answers(429, retry_after="3600")
        for controller in ("acme", "acme", "other"):
            await added(store, controller)
        async with at_work(store, keys) as courier:
            await courier.deliver()
            await added(store, "other")
            await courier.deliver()
            assert (len(receiver.heard), len(others.heard)) == (1, 2)
        monkeypatch.setattr(couriers, "LEFT_ALONE_SECONDS", 0.0)
        async with at_work(store, keys) as courier:
            await added(store)
            await courier.deliver()
            await courier.deliver()
        assert len(set(receiver.changes)) == len(receiver.changes) == 3


async def test_a_webhook_without_a_secret_is_told_unsigned(
    store: Store, database: Database, keys: WebhookSecrets, receiver: Receiver
) -> None:
    await to_webhook(store, receiver)
    await added(store)
    keys.path("acme").unlink()
    async with at_work(store, keys) as courier:
        (told,) = await courier.deliver()
        assert "'acme' has no webhook secret: ccari requests webhook-secret" in told.fault
        assert receiver.heard == []
        keys.create("acme")
        await later(database, by=LONG)
        await courier.deliver()
    assert await queue(database) == ["delivered"]


async def test_of_two_ways_one_is_left_out_or_gone_twice(
    store: Store, database: Database, keys: WebhookSecrets, receiver: Receiver, tmp_path: Path
) -> None:
    drop = tmp_path / "drop"
    await store.policies.apply(policy(acme=f'{{ url = "{receiver.url}", folder = "{drop}" }}'), "test")
    reference = await added(store)
    async with at_work(store, keys) as courier:
        (told,) = await courier.deliver()
        assert (told.ways, told.status) == (("webhook",), 204)
        assert told.fault == f"folder: cannot write in {drop}: No such file or directory"
        drop.mkdir()
        await later(database, by=LONG)
        (told,) = await courier.deliver()
    assert (told.ways, told.fault) == (("folder",), "")
    assert receiver.changes == [f"{reference}-1"]
    assert json.loads((drop / f"{reference}-1.json").read_bytes()) == receiver.heard[0].told
    assert await queue(database) == ["delivered"]


async def test_a_folder_that_hangs_takes_the_threads_of_all(
    store: Store, database: Database, keys: WebhookSecrets, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor more than one of its own, nor another controller's."""
    hung, begun, faults = threading.Event(), list[Path](), list[str]()
    for each in ("hangs", "sound"):
        (tmp_path / each).mkdir()

    def hang(folder: Path) -> None:
        if folder.name == "hangs":
            begun.append(folder)
            hung.wait(WITHIN_SECONDS)
        settle(folder)

    monkeypatch.setattr(folders, "settle", hang)
    monkeypatch.setattr(couriers, "FOLDER_SECONDS", 0.2)
    await store.policies.apply(
        policy(acme=f'{{ folder = "{tmp_path}/hangs" }}', other=f'{{ folder = "{tmp_path}/sound" }}'), "test"
    )
    await added(store)
    async with at_work(store, keys) as courier, asyncio.timeout(WITHIN_SECONDS):
        try:
            for _ in range(3):
                faults += [each.fault for each in await courier.deliver()]
                await later(database, by=couriers.LONGEST_PAUSE)
            # on a busy machine it may come to that only when it was given up
            await until(lambda: bool(begun), within=WITHIN_SECONDS)
            assert len(begun) == 1
            assert faults[0] == f"folder: {tmp_path}/hangs did not take the file within 0.2 s"
            assert re.fullmatch(rf"folder: {tmp_path}/hangs has not answered since 20.* UTC", faults[1])
            assert faults[1] == faults[2]
            # a sound folder has enough time, even on a shared disk
            monkeypatch.setattr(couriers, "FOLDER_SECONDS", WITHIN_SECONDS)
            theirs = await added(store, "other")
            assert (theirs, "") in [(each.reference, each.fault) for each in await courier.deliver()]
        finally:
            hung.set()
        await until(
            lambda: all(each.name != "ccari-folder" for each in threading.enumerate()), within=WITHIN_SECONDS
        )
        await later(database, by=couriers.LONGEST_PAUSE)
        (told,) = await courier.deliver()
    assert told.fault == ""
    assert len(begun) == 2


async def test_a_change_that_was_given_up_is_gone_for_good(
    store: Store, database: Database, keys: WebhookSecrets, receiver: Receiver
) -> None:
    await to_webhook(store, receiver)
    reference = await added(store)
    receiver.manner = answers(500)
    async with at_work(store, keys) as courier:
        await courier.deliver()
        await later(database, by=couriers.PATIENCE)
        with capture_logs() as logs:
            (told,) = await courier.deliver()
        assert told.given_up
        assert [(each["event"], each["given_up"]) for each in logs] == [("request_not_forwarded", True)]
        await later(database, by=LONG)
        assert await courier.deliver() == []
        receiver.manner = answers(200)
        assert await store.forwards.retry(reference) == [1]
        await courier.deliver()
    assert receiver.changes == [f"{reference}-1"] * 3
    assert len(set(receiver.ids)) == 1
    assert await queue(database) == ["delivered"]


def test_pauses_are_short_long_or_all_alike() -> None:
    for tries in range(1, 200):
        for chance in (0.0, 0.5, 0.999999):
            assert couriers.FIRST_PAUSE <= pause(tries, chance) <= couriers.LONGEST_PAUSE
    longest = [pause(tries, 0.0) for tries in range(1, 12)]
    assert longest == [min(timedelta(minutes=2**n), couriers.LONGEST_PAUSE) for n in range(11)]
    assert pause(3, 0.2) != pause(3, 0.7)
    # enough tries before it is given up, but no flood of them
    spent, tries = timedelta(0), 0
    while spent < couriers.PATIENCE:
        tries += 1
        spent += pause(tries, 0.5)
    assert 15 <= tries <= 40


async def test_a_service_tells_nobody_until_it_is_started_anew(
    store: Store,
    dsn: str,
    keys: WebhookSecrets,
    receiver: Receiver,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Requests and policies that come while it runs; what fails meanwhile is logged once and overcome."""
    monkeypatch.setattr(couriers, "LOOK_SECONDS", 0.02)
    settings = Settings(data_dir=tmp_path)
    old = await added(store)
    unsound = "INSERT INTO policy_revisions (applied_by, sha256, document) VALUES ('x', sha256('x'), 'x = 1')"
    with capture_logs() as logs:

        def logged(event: str) -> int:
            return sum(1 for each in logs if each["event"] == event)

        async with forwarding(settings, store, Book(store.policies), UNMETERED):
            await store.database.rows(unsound)
            await until(lambda: logged("forwarding_stalled") == 1, within=WITHIN_SECONDS)
            await to_webhook(store, receiver)
            await until(lambda: logged("request_forwarded") == 1, within=WITHIN_SECONDS)
            new = await added(store)
            await until(lambda: logged("request_forwarded") == 2, within=WITHIN_SECONDS)
    assert receiver.changes == [f"{old}-1", f"{new}-1"]
    # data_accessed: the policy was applied
    assert [each["event"] for each in logs if each["event"] != "data_accessed"] == [
        "forwarding_stalled",
        "request_forwarded",
        "request_forwarded",
    ]
