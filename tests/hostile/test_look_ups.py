"""Somebody with a token who asks about one number after another cannot find out who is barred."""

from http import HTTPStatus

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from ccari.config import Settings
from ccari.ports.access import Role
from ccari.store.opened import Store
from ccari.web.events import Streams
from ccari.web.front import Front
from ccari.web.problems import Refusal
from ccari.web.rates import A_MINUTE, LookUp, Rates
from ccari.web.routes import routes
from ccari.web.server import application
from tests.unit.web.api import NUMBER, Api, listening

#: Every endpoint that answers about a given number, and each of those without a rate limit, with the reason.
LIMITED = {
    ("POST", "/v1/gate"): LookUp.GATE,
    ("POST", "/v1/suppressions/check"): LookUp.CHECK,
    ("POST", "/v1/contacts/check"): LookUp.CHECK,
    ("POST", "/v1/consents/check"): LookUp.CHECK,
    ("POST", "/v1/requests/find"): LookUp.CHECK,
    ("POST", "/v1/calls/find"): LookUp.CHECK,
    ("POST", "/v1/subjects/find"): LookUp.CHECK,
}
UNLIMITED = {
    ("POST", "/v1/calls"): "each is a call on record, and dials whoever is not barred",
    (
        "POST",
        "/v1/suppressions",
    ): "each bars the number, or is on record as a look-up; an objection is never kept back",
    ("POST", "/v1/suppressions/remove"): "each lifts the bar, or is a look-up, on record",
    ("POST", "/v1/requests"): "each is a request on record; no right is kept back",
    ("POST", "/v1/consents/withdraw"): "each bars the number; no right is kept back",
    ("POST", "/v1/holds"): "each is a hold on record, and tells nothing of the number",
    ("POST", "/v1/subjects/export"): "only on that person's own request, on record",
    ("POST", "/v1/subjects/erasure-plan"): "only on that person's own request, on record",
}


async def test_a_token_asks_for_number_after_number(store: Store, front: Front, api: Api) -> None:
    now = 0.0
    app = application({}, front, rates=Rates({LookUp.GATE: 3, LookUp.CHECK: 1}, lambda: now))
    async with listening(app) as url:
        limited = Api(url, api.session, store)
        gate = {"number": NUMBER, "campaign": "renewals"}
        check = {"number": NUMBER, "controller": "acme"}
        with capture_logs() as logs:
            for _ in range(3):
                assert (await limited.ask("POST", "/v1/gate", gate)).status == HTTPStatus.OK
            told = await limited.ask("POST", "/v1/gate", gate)
            told.problem(HTTPStatus.TOO_MANY_REQUESTS)
        assert told.headers["retry-after"] == "20"
        assert [each["token"] for each in logs if each["event"] == "lookups_at_limit"] == ["the-dpo"]
        # each kind and each token has its own allowance
        assert (await limited.ask("POST", "/v1/suppressions/check", check)).status == HTTPStatus.OK
        (await limited.ask("POST", "/v1/suppressions/check", check)).problem(HTTPStatus.TOO_MANY_REQUESTS)
        assert (await limited.ask("POST", "/v1/gate", gate, role=Role.DIALER)).status == HTTPStatus.OK
        assert (await limited.ask("GET", "/v1/calls")).status == HTTPStatus.OK
        now += 20.0
        assert (await limited.ask("POST", "/v1/gate", gate)).status == HTTPStatus.OK
        (await limited.ask("POST", "/v1/gate", gate)).problem(HTTPStatus.TOO_MANY_REQUESTS)


def test_an_endpoint_that_takes_a_number_can_be_asked_without_end_and_nobody_has_said_why() -> None:
    table = routes(Streams())
    asking = {(each.method, each.path) for each in table if each.body and "number" in each.body.model_fields}
    assert asking == set(LIMITED) | set(UNLIMITED)
    assert {(each.method, each.path): each.looks_up for each in table if each.looks_up} == LIMITED


def test_the_settings_say_otherwise_than_what_is_written() -> None:
    http = Settings().http
    assert {LookUp.GATE: http.gate_per_minute, LookUp.CHECK: http.checks_per_minute} == A_MINUTE


@given(st.lists(st.floats(0, 30), min_size=1, max_size=200), st.integers(1, 20))
def test_more_is_looked_up_in_a_minute_than_there_may_be_in_two(waits: list[float], most: int) -> None:
    now = 0.0
    rates = Rates({LookUp.CHECK: most}, lambda: now)
    taken: list[float] = []
    told: list[int] = []
    for wait in waits:
        now += wait
        try:
            rates.take(LookUp.CHECK, "the-dpo")
        except Refusal as refusal:
            told.append(int(refusal.headers["retry-after"]))
        else:
            taken.append(now)
    assert all(1 <= each <= 61 for each in told)
    # the rest of the last minute's allowance, and this minute's
    assert all(sum(first <= at < first + 60 for at in taken) <= 2 * most for first in taken)


def test_a_dialler_at_its_full_rate_is_told_to_wait() -> None:
    """For an hour, 200 agents with three calls a minute each, and half as many again for calls that are not answered."""
    now = 0.0
    rates, per_second = Rates(clock=lambda: now), 200 * 3 * 1.5 / 60
    for place in range(int(per_second * 3600)):
        now = place / per_second
        rates.take(LookUp.GATE, "dialer")


def test_a_token_that_stays_at_its_limit_floods_the_log() -> None:
    """With a line for each look-up that it may make, some fifty a second."""
    now, refused = 0.0, 0
    rates = Rates(clock=lambda: now)

    def hammer(seconds: float) -> None:
        nonlocal now, refused
        until = now + seconds
        while now < until:
            now += 1 / 60
            try:
                rates.take(LookUp.GATE, "dialer")
            except Refusal:
                refused += 1

    with capture_logs() as logs:
        hammer(600)
        assert (len(logs), refused > 0) == (1, True)
        # after a pause it is news again
        now += 60
        hammer(600)
    assert len(logs) == 2


def test_counting_takes_more_memory_with_each_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ccari.web.rates._MOST", 3)
    rates = Rates()
    for place in range(10):
        rates.take(LookUp.CHECK, f"token-{place}")
    assert len(rates._left) == 3
