"""Idempotency-Key: the same request again is answered as before and done once."""

import asyncio
from dataclasses import replace
from http import HTTPStatus
from typing import Any
from uuid import UUID, uuid4

import pytest

from ccari.errors import AsteriskError, StoreError
from ccari.policy.gate import Block
from ccari.ports.access import Role
from ccari.ports.keying import Digests
from ccari.ports.placing import CallToPlace, Placed
from ccari.ports.repeats import Answered, Unanswered
from ccari.ports.requests import Exercise
from ccari.store.opened import Store
from ccari.store.repeats import Repeats
from ccari.store.requests import Requests
from ccari.web import repeats
from ccari.web.front import Front
from tests.unit.web.api import AS_WRITTEN, NUMBER, SECONDS, Answer, Api, serving
from tests.unit.web.test_calls import Placing

CALL = {"number": NUMBER, "campaign": "renewals", "agent": "anna"}
ERASE = {"right": "erasure", "number": AS_WRITTEN, "controller": "acme"}


async def ask(api: Api, path: str, body: Any, key: str, **options: Any) -> Answer:
    options.setdefault("role", Role.DPO)
    return await api.ask("POST", path, body, headers={"idempotency-key": key}, **options)


async def test_a_request_whose_answer_was_lost_is_entered_twice(api: Api, store: Store) -> None:
    key = str(uuid4())
    first = await ask(api, "/v1/requests", ERASE, key)
    again = await ask(api, "/v1/requests", ERASE, f'"{key}"')
    assert (first.status, again.status) == (HTTPStatus.CREATED, HTTPStatus.CREATED)
    assert (again.text, again.headers["location"]) == (first.text, first.headers["location"])
    assert again.headers["content-type"] == first.headers["content-type"]
    assert len(await store.requests.list(None, 10)) == 1
    # another token's key, and another key, are different ones
    other = await api.token(Role.DPO)
    await ask(api, "/v1/requests", ERASE, key, token=other)
    await ask(api, "/v1/requests", ERASE, str(uuid4()))
    assert len(await store.requests.list(None, 10)) == 3


class Unheard(Requests):
    """The database accepts what is entered, and its answer is lost."""

    async def add(
        self, controller: str, exercise: Exercise, digests: Digests, campaign: str | None = None, *, at_once: bool = False
    ) -> str:  # fmt: skip
        await super().add(controller, exercise, digests, campaign, at_once=at_once)
        raise StoreError("the database failed: ConnectionDoesNotExistError")


async def test_a_request_is_entered_twice_because_its_commit_was_not_answered(
    store: Store, front: Front
) -> None:
    """Whoever is answered 503 may ask again with the same key. If that key is used for another request, they are still two."""
    async with serving(store, replace(front, requests=Unheard(store.database))) as api:
        (await ask(api, "/v1/requests", ERASE, "one")).problem(HTTPStatus.SERVICE_UNAVAILABLE)
    (entered,) = await store.requests.list(None, 10)
    async with serving(store, front) as api:
        again, once_more = [await ask(api, "/v1/requests", ERASE, "one") for _ in range(2)]
        assert (again.status, again.json["reference"]) == (HTTPStatus.CREATED, entered["reference"])
        assert {name: again.json[name] for name in ("state", "due", "level")} == {
            "state": entered["state"], "due": entered["due"].isoformat(), "level": "L0",
        }  # fmt: skip
        assert once_more.text == again.text
        assert len(await store.requests.list(None, 10)) == 1
        await store.database.rows("DELETE FROM http_repeats")
        for other in ({**ERASE, "right": "access"}, {**ERASE, "number": "600 100 002"}):
            assert (await ask(api, "/v1/requests", other, "one")).status == HTTPStatus.CREATED
            await store.database.rows("DELETE FROM http_repeats")
        assert len(await store.requests.list(None, 10)) == 3
        # a day later it is another request of the same person
        await store.database.rows("UPDATE rights_requests SET registered_at = now() - interval '25 hours'")
        assert (await ask(api, "/v1/requests", ERASE, "one")).status == HTTPStatus.CREATED
        assert len(await store.requests.list(None, 10)) == 4


async def test_a_call_is_placed_twice(store: Store, front: Front) -> None:
    placing = Placing()
    async with serving(store, replace(front, placing=placing)) as api:
        answers = [await ask(api, "/v1/calls", CALL, "one", role=Role.OPS) for _ in range(3)]
        assert {each.text for each in answers} == {answers[0].text}
        assert {each.status for each in answers} == {HTTPStatus.CREATED}
        assert len(placing.orders) == 1
        other = await ask(api, "/v1/calls", {**CALL, "agent": "bert"}, "one", role=Role.OPS)
        assert "another body" in other.problem(HTTPStatus.UNPROCESSABLE_ENTITY)["detail"]
        # without a key, each is a call of its own
        await api.ask("POST", "/v1/calls", CALL, role=Role.OPS)
        assert len(placing.orders) == 2


async def test_a_blocked_call_is_asked_for_again_and_let_through(store: Store, front: Front) -> None:
    blocking, placing = Placing(block=Block.OUTSIDE_HOURS), Placing()
    async with serving(store, replace(front, placing=blocking)) as api:
        first = await ask(api, "/v1/calls", CALL, "one", role=Role.OPS)
    async with serving(store, replace(front, placing=placing)) as api:
        again = await ask(api, "/v1/calls", CALL, "one", role=Role.OPS)
    assert first.problem(HTTPStatus.CONFLICT) == again.problem(HTTPStatus.CONFLICT)
    assert placing.orders == []


async def test_what_failed_is_not_tried_again(store: Store, front: Front) -> None:
    away, placing = Placing(error=AsteriskError("away")), Placing()
    async with serving(store, replace(front, placing=away)) as api:
        (await ask(api, "/v1/calls", CALL, "one", role=Role.OPS)).problem(HTTPStatus.SERVICE_UNAVAILABLE)
    async with serving(store, replace(front, placing=placing)) as api:
        assert (await ask(api, "/v1/calls", CALL, "one", role=Role.OPS)).status == HTTPStatus.CREATED
        (await ask(api, "/v1/requests", {**ERASE, "number": "12"}, "two")).problem(
            HTTPStatus.UNPROCESSABLE_ENTITY
        )
        assert (await ask(api, "/v1/requests", ERASE, "two")).status == HTTPStatus.CREATED


async def test_a_call_that_the_gate_could_not_be_asked_about_is_blocked_for_a_day(
    store: Store, front: Front
) -> None:
    away = Placing(block=Block.STORE_UNAVAILABLE)
    async with serving(store, replace(front, placing=away)) as api:
        first = await ask(api, "/v1/calls", CALL, "one", role=Role.OPS)
    async with serving(store, replace(front, placing=Placing())) as api:
        again = await ask(api, "/v1/calls", CALL, "one", role=Role.OPS)
    told = first.problem(HTTPStatus.SERVICE_UNAVAILABLE)
    assert (told["reason"], told["call"]) == ("store_unavailable", str(away.call))
    assert again.status == HTTPStatus.CREATED


async def test_two_at_the_same_moment_are_both_done(store: Store, front: Front) -> None:
    go_on, inside = asyncio.Event(), asyncio.Semaphore(0)

    class Slow(Placing):
        async def place(self, order: CallToPlace) -> Placed:
            inside.release()
            await go_on.wait()
            return await super().place(order)

    placing = Slow()
    async with serving(store, replace(front, placing=placing)) as api:
        token = await api.of(Role.OPS)
        first = asyncio.create_task(ask(api, "/v1/calls", CALL, "one", token=token))
        async with asyncio.timeout(SECONDS):
            await inside.acquire()
        (await ask(api, "/v1/calls", CALL, "one", token=token)).problem(HTTPStatus.CONFLICT)
        # whoever worked on it died: after a while the next may do so
        await store.database.rows(
            "UPDATE http_repeats SET made_at = now() - interval '3 minutes' RETURNING 1"
        )
        second = asyncio.create_task(ask(api, "/v1/calls", CALL, "one", token=token))
        async with asyncio.timeout(SECONDS):
            await inside.acquire()
        go_on.set()
        assert [(await each).status for each in (first, second)] == [HTTPStatus.CREATED] * 2
        assert len(placing.orders) == 2


async def test_what_is_worked_on_for_long_is_taken_for_lost_and_done_twice(
    store: Store, front: Front, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on, inside, held = asyncio.Event(), asyncio.Event(), asyncio.Event()

    class Slow(Placing):
        async def place(self, order: CallToPlace) -> Placed:
            inside.set()
            await go_on.wait()
            return await super().place(order)

    hold = store.repeats.hold

    async def holding(_: Repeats, key: bytes, claim: UUID) -> None:
        await hold(key, claim)
        held.set()

    monkeypatch.setattr(Repeats, "hold", holding)
    monkeypatch.setattr(repeats, "HOLD_SECONDS", 0.01)
    placing = Slow()
    async with serving(store, replace(front, placing=placing)) as api, asyncio.timeout(SECONDS):
        token = await api.of(Role.OPS)
        first = asyncio.create_task(ask(api, "/v1/calls", CALL, "one", token=token))
        await inside.wait()
        await store.database.rows(
            "UPDATE http_repeats SET made_at = now() - interval '3 minutes' RETURNING 1"
        )
        held.clear()
        await held.wait()
        # one may have been on its way already
        held.clear()
        await held.wait()
        (await ask(api, "/v1/calls", CALL, "one", token=token)).problem(HTTPStatus.CONFLICT)
        go_on.set()
        assert (await first).status == HTTPStatus.CREATED
    assert len(placing.orders) == 1


async def test_whoever_was_taken_for_lost_settles_or_drops_the_work_of_the_next(store: Store) -> None:
    key, asked, lost, mine, later = bytes(32), bytes(32), uuid4(), uuid4(), uuid4()
    assert await store.repeats.claim(key, asked, lost) is Unanswered.FIRST
    await store.database.rows("UPDATE http_repeats SET made_at = now() - interval '3 minutes' RETURNING 1")
    assert await store.repeats.claim(key, asked, mine) is Unanswered.FIRST
    await store.repeats.drop(key, lost)
    await store.repeats.settle(key, lost, Answered(500, None, "text/plain", b""))
    assert await store.repeats.claim(key, asked, later) is Unanswered.UNDER_WAY
    await store.database.rows("UPDATE http_repeats SET made_at = now() - interval '3 minutes' RETURNING 1")
    await store.repeats.hold(key, lost)
    assert await store.repeats.claim(key, asked, later) is Unanswered.FIRST
    told = Answered(201, None, "text/plain", b"done", listed=bytes(32))
    await store.repeats.settle(key, later, told)
    assert await store.repeats.claim(key, asked, mine) == told


async def test_an_answer_is_kept_for_ever_or_with_a_number(api: Api, store: Store) -> None:
    await ask(api, "/v1/suppressions", {"number": AS_WRITTEN, "controller": "acme"}, "a-key")
    rows = await store.database.rows(
        "SELECT key, asked, location, convert_from(body, 'UTF8') AS body FROM http_repeats"
    )
    assert "60010000" not in str(rows)
    assert "a-key" not in str(rows)
    await store.database.rows("UPDATE http_repeats SET made_at = now() - interval '25 hours' RETURNING 1")
    await ask(api, "/v1/suppressions", {"number": AS_WRITTEN, "controller": "acme"}, "another")
    assert len(await store.database.rows("SELECT FROM http_repeats")) == 1


async def test_an_answer_is_kept_for_ever_if_nobody_sends_another_key(store: Store) -> None:
    key, mine = bytes(32), uuid4()
    await store.repeats.claim(key, bytes(32), mine)
    await store.repeats.settle(key, mine, Answered(201, None, "text/plain", b"done"))
    for age, kept in [("23 hours", 1), ("25 hours", 0)]:
        await store.database.rows(
            "UPDATE http_repeats SET made_at = now() - $1::text::interval RETURNING 1", age
        )
        async with store.limits.turn() as mine_to_expire:
            assert mine_to_expire
        assert len(await store.database.rows("SELECT FROM http_repeats")) == kept


@pytest.mark.parametrize("key", ["", " ", "x" * 201, "a b", "é"])
async def test_what_is_no_key_is_taken_for_one(api: Api, key: str) -> None:
    (await ask(api, "/v1/requests", ERASE, key)).problem(HTTPStatus.UNPROCESSABLE_ENTITY)
