"""Tokens: stored as a hash, good until they are not, and not to be guessed."""

import contextlib
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from ccari.ports.access import Bearer, Role, fingerprint
from ccari.store.opened import Store
from ccari.web.access import FAILURE_SECONDS, GOOD_SECONDS, LATELY_SECONDS, MOST_FAILURES, Doorkeeper
from ccari.web.front import Front
from tests.integration.service import Service
from tests.unit.store.commands import on
from tests.unit.web.api import TWO, Api, serving

WRONG = f"ccari_{'x' * 43}"
CALLS, GATE = "/v1/calls", "/v1/gate"


@pytest.fixture
async def ccari(dsn: str, store: Store, tmp_path: Path) -> Service:
    await store.policies.apply(TWO, "test")
    return on(dsn, tmp_path)


async def test_a_token_is_kept_or_shown_a_second_time(ccari: Service, store: Store, api: Api) -> None:
    made = await ccari.json("token", "create", "--role", "auditor", "--controller", "acme", "--expires", "30")
    token, name = made["token"], made["name"]
    assert len(token) == len(WRONG)
    assert (await api.ask("GET", CALLS, token=token)).status == HTTPStatus.OK
    rows = await store.database.rows("SELECT * FROM access_tokens")
    listed = await ccari.ccari("token", "list", "--json")
    for text in (str(rows), listed.out, (await ccari.ccari("token", "list")).out):
        assert token not in text
        assert token[6:30] not in text
    assert rows[0]["sha256"] == fingerprint(token)
    (shown,) = json.loads(listed.out)
    assert (shown["name"], shown["role"], shown["controllers"], shown["good"]) == (
        name,
        "auditor",
        ["acme"],
        True,
    )
    left = datetime.fromisoformat(shown["expires_at"]) - datetime.now(UTC)
    assert timedelta(days=29) < left <= timedelta(days=30)


async def test_a_token_is_printed_among_other_words(ccari: Service) -> None:
    done = await ccari.succeeds("token", "create", "--role", "ops", "--name", "pbx")
    assert done.out.startswith("ccari_")
    assert len(done.out.split()) == 1
    assert done.err == "this is pbx's token; it is not shown again\n"


async def test_tokens_are_listed_in_python(ccari: Service, store: Store) -> None:
    """For whom they are, and whether they are good."""
    whole, some = Bearer("all-of-it", Role.OPS), Bearer("two", Role.DPO, None, frozenset({"acme", "beta"}))
    for bearer, sha256 in ((whole, fingerprint(WRONG)), (some, bytes(32))):
        await store.tokens.add(bearer, sha256, "test", None)
    assert await store.tokens.revoke("two", "test")
    table = (await ccari.succeeds("token", "list")).out
    first, second = (line.split() for line in table.splitlines()[1:])
    assert first[:4] == ["all-of-it", "ops", "all", "yes"]
    assert second[:5] == ["two", "dpo", "acme,", "beta", "no"]
    assert not {"True", "False", "None"} & set(table.split())


async def test_a_revoked_or_expired_token_opens_something(ccari: Service, api: Api, store: Store) -> None:
    token = (await ccari.json("token", "create", "--role", "ops", "--name", "crm"))["token"]
    assert (await api.ask("GET", CALLS, token=token)).status == HTTPStatus.OK
    assert (await ccari.ccari("token", "revoke", "crm")).code == 0
    (await api.ask("GET", CALLS, token=token)).problem(HTTPStatus.UNAUTHORIZED)
    again = await ccari.ccari("token", "revoke", "crm")
    assert (again.code, again.err) == (
        1,
        "ccari: there is no valid token 'crm': see ccari token list\n",
    )
    await store.tokens.add(Bearer("old", Role.OPS), fingerprint(WRONG), "test", datetime.now(UTC))
    (await api.ask("GET", CALLS, token=WRONG)).problem(HTTPStatus.UNAUTHORIZED)


@pytest.mark.parametrize(
    ("number", "campaign"),
    [("600 100 001", "renewals"), ("600 100 001", "none"), ("600", "renewals")],
    ids=["a look", "no campaign", "no number"],
)
@pytest.mark.parametrize("role", [Role.DIALER, Role.DPO])
async def test_a_token_that_was_good_a_moment_ago_opens_the_gate(
    api: Api, store: Store, number: str, campaign: str, role: Role
) -> None:
    asked = {"number": number, "campaign": campaign}
    token = await api.token(role)
    assert (await api.ask("POST", GATE, asked, token=token)).status == HTTPStatus.OK
    looks = "SELECT FROM accesses WHERE event <> 'token_revoked'"
    noted = await store.database.rows(looks)
    (bearer,) = [each["name"] for each in await store.tokens.list()]
    assert await store.tokens.revoke(bearer, "test")
    told = await api.ask("POST", GATE, asked, token=token)
    told.problem(HTTPStatus.UNAUTHORIZED)
    assert "invalid_token" in told.headers["www-authenticate"]
    for _ in range(MOST_FAILURES - 1):
        (await api.ask("POST", GATE, asked, token=token)).problem(HTTPStatus.UNAUTHORIZED)
    (await api.ask("POST", GATE, asked, token=token)).problem(HTTPStatus.TOO_MANY_REQUESTS)
    assert await store.database.rows(looks) == noted


async def test_who_bears_a_token_is_asked_apart_from_the_look_or_never_anew(
    store: Store, front: Front, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, questions = 0.0, 0
    connection = store.database.connection

    @contextlib.asynccontextmanager
    async def counted() -> AsyncIterator[Any]:
        nonlocal questions
        questions += 1
        async with connection() as given:
            yield given

    monkeypatch.setattr(store.database, "connection", counted)
    async with serving(store, front, doorkeeper=Doorkeeper(front.bearers, lambda: now)) as api:
        token = await api.token(Role.DIALER)
        asked = []
        for later in (0.0, 0.0, 1.0, LATELY_SECONDS):
            now, before = now + later, questions
            answer = await api.ask(
                "POST", GATE, {"number": "600 100 001", "campaign": "renewals"}, token=token
            )
            assert answer.json["verdict"] == "allow"
            asked.append(questions - before)
    assert asked[1:] == [1, 1, 2]


async def test_a_token_is_made_that_nobody_could_tell_from_another_or_that_opens_nothing(
    ccari: Service,
) -> None:
    assert (await ccari.ccari("token", "create", "--role", "ops", "--name", "pbx")).code == 0
    attempts = {
        ("--role", "ops", "--name", "pbx"): (1, "a token named 'pbx' exists or was revoked"),
        ("--role", "ops", "--controller", "nobody"): (1, "there is no controller 'nobody'"),
        ("--role", "agent"): (2, "--agent"),
        ("--role", "agent", "--agent", ""): (2, "--agent"),
        ("--role", "ops", "--agent", "anna"): (2, "--agent"),
        ("--role", "ops", "--name", "48600100001"): (2, "--name"),
        ("--role", "boss"): (2, "--role"),
        ("--role", "ops", "--expires", "0"): (2, "--expires"),
    }
    for options, (code, words) in attempts.items():
        done = await ccari.ccari("token", "create", *options)
        assert (done.code, done.out) == (code, ""), options
        assert words in done.err, options
        assert "Traceback" not in done.err


@pytest.mark.parametrize(
    "header",
    ["", "Bearer", "Bearer ", "Basic YTpi", "bearer ccari_short", f"Token {WRONG}", "é"],
)
async def test_what_is_no_token_is_taken_for_one_or_ends_in_an_error(api: Api, header: str) -> None:
    answer = await api.ask("GET", CALLS, role=None, headers={"authorization": header})
    answer.problem(HTTPStatus.UNAUTHORIZED)


async def test_a_peer_guesses_without_end_or_shuts_out_its_neighbours(store: Store, front: Front) -> None:
    now = 0.0
    keeper = Doorkeeper(front.bearers, lambda: now)
    async with serving(store, front, doorkeeper=keeper) as api:
        good, unused = await api.of(Role.OPS), await api.token(Role.OPS)
        assert (await api.ask("GET", CALLS, token=good)).status == HTTPStatus.OK
        with capture_logs() as logs:
            for _ in range(MOST_FAILURES):
                (await api.ask("GET", CALLS, token=WRONG)).problem(HTTPStatus.UNAUTHORIZED)
            for _ in range(3):
                told = await api.ask("GET", CALLS, token=WRONG)
                told.problem(HTTPStatus.TOO_MANY_REQUESTS)
        assert 0 < int(told.headers["retry-after"]) <= FAILURE_SECONDS + 1
        assert [each["failures"] for each in logs if each["event"] == "tokens_refused"] == [MOST_FAILURES]
        # behind the same NAT: one that was good before, one that nobody has shown yet, and one that is made meanwhile
        for each in (good, unused):
            assert (await api.ask("GET", CALLS, token=each)).status == HTTPStatus.OK
        late = await api.token(Role.OPS)
        now += GOOD_SECONDS
        assert (await api.ask("GET", CALLS, token=late)).status == HTTPStatus.OK
        (await api.ask("GET", CALLS, token=WRONG)).problem(HTTPStatus.TOO_MANY_REQUESTS)
        now += FAILURE_SECONDS
        (await api.ask("GET", CALLS, token=WRONG)).problem(HTTPStatus.UNAUTHORIZED)


async def test_the_database_is_asked_for_what_is_no_token(store: Store, front: Front) -> None:
    asked = lists = 0

    class Counting:
        async def bearer(self, sha256: bytes) -> Bearer | None:
            nonlocal asked
            asked += 1
            return None

        async def valid_fingerprints(self) -> frozenset[bytes]:
            nonlocal lists
            lists += 1
            return frozenset()

    async with serving(store, front, doorkeeper=Doorkeeper(Counting())) as api:
        for token in ("short", "ccari_" + "x" * 44, "ccari_" + "ß" * 43, WRONG.replace("ccari", "other")):
            (await api.ask("GET", CALLS, token=token)).problem(HTTPStatus.UNAUTHORIZED)
        assert asked == 0
        (await api.ask("GET", CALLS, token=WRONG)).problem(HTTPStatus.UNAUTHORIZED)
        assert (asked, lists) == (1, 0)
        for _ in range(2 * MOST_FAILURES):
            await api.ask("GET", CALLS, token=WRONG)
        assert asked <= MOST_FAILURES
        assert lists == 1
