"""Whatever is sent, the answer is one of those that are described, and never a failure of ours."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ccari.recordings.evidence.keys import SigningKeys
from ccari.store.migrating import open_database
from ccari.store.opened import Store
from ccari.web.events import Streams
from ccari.web.routes import Route, routes
from tests.unit.web.api import NUMBER, Api, front_over, reference_of_this_year, serving

EXAMPLES = 150
ROUTES = [each for each in routes(Streams()) if not each.streams]

_scalars = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=50),
    st.sampled_from([
        NUMBER, "12", "acme", "other", "renewals", "umfrage", "erasure", "L2", "letter", "2026-12-31", "0001-01-01",
        "9999-12-31T23:59:59+14:00", "\x00", "2026-02-30", "+" * 70,
    ]),
)  # fmt: skip
_anything = st.recursive(
    _scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip


def _bodies(route: Route) -> st.SearchStrategy[Any]:
    names = list(route.body.model_fields) if route.body else ["number"]
    fields = st.dictionaries(st.sampled_from(names), _scalars, max_size=len(names))
    return st.one_of(fields, fields, fields, st.dictionaries(st.sampled_from(names), _anything), _anything)


def _queries(route: Route) -> st.SearchStrategy[list[tuple[str, str]]]:
    names = [*(route.query.model_fields if route.query else ()), "x"]
    values = st.one_of(
        st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
        st.sampled_from(
            ["1", "true", "2026-12-31", "2026-01-01T00:00:00Z", "WyIyMDI2IiwxXQ", "acme", "-1", "1e3"]
        ),
    )
    return st.lists(st.tuples(st.sampled_from(names), values), max_size=4)


_asks = st.sampled_from(ROUTES).flatmap(
    lambda route: st.tuples(
        st.just(route), _bodies(route), _queries(route), st.binary(max_size=30), st.integers(0, 9)
    )
)
_ids = [
    "00000000-0000-4000-8000-000000000000",
    reference_of_this_year(1),
    reference_of_this_year(2).lower(),
    NUMBER,
    "%00",
    "a%2Fb",
]


@pytest.fixture
async def api(dsn: str, tmp_path: Path) -> AsyncIterator[Api]:
    async with open_database(dsn) as database:
        store = Store(dsn, database)
        front = await front_over(store, tmp_path)
        SigningKeys(tmp_path / "keys").create()
        async with serving(store, front) as running:
            yield running


async def test_a_body_or_a_parameter_makes_it_fail(api: Api) -> None:
    asked: list[tuple[str, str, bytes | None]] = []

    @settings(max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(_asks)
    def draw(ask: tuple[Route, Any, list[tuple[str, str]], bytes, int]) -> None:
        route, body, query, raw, pick = ask
        path = route.path
        for name in ("{id}", "{reference}", "{number}"):
            path = path.replace(name, _ids[pick % len(_ids)])
        if query and route.method == "GET":
            path += "?" + "&".join(f"{name}={quote(value)}" for name, value in query)
        data = None if route.method == "GET" else raw if pick == 0 else json.dumps(body).encode()
        asked.append((route.method, path, data))

    # drawn in a thread of its own, as hypothesis runs no coroutines; asked here
    await asyncio.to_thread(draw)
    reference = (
        await api.ask("POST", "/v1/requests", {"right": "access", "number": NUMBER, "controller": "acme"})
    ).json
    # the year is the current one
    assert re.fullmatch(r"ACME-2\d\d\d-000001", reference["reference"])
    seen: set[int] = set()
    for method, path, data in asked:
        answer = await api.ask(method, path, data=data)
        seen.add(answer.status)
        assert answer.status < 500 or (answer.status == 503 and "not possible here" in answer.text), (
            method,
            path,
            data,
            answer,
        )
        if answer.status >= 400:
            answer.problem(answer.status)
    assert {200, 404, 422} <= seen
