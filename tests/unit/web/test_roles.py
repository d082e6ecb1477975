"""Every endpoint asks for a role, and each role gets what is written here and nothing else."""

from http import HTTPStatus

import pytest

from ccari.ports.access import Role
from ccari.web.front import Front
from ccari.web.server import application
from tests.unit.web.api import Api, routes_of

OPEN = {
    ("GET", "/healthz"), ("HEAD", "/healthz"), ("GET", "/readyz"), ("HEAD", "/readyz"),
    ("GET", "/openapi.json"), ("HEAD", "/openapi.json"),
}  # fmt: skip
#: d(ialer), a(gent), o(ps), D(po), A(uditor)
ALLOWED = """
POST /v1/gate                            d . o D .
POST /v1/calls                           d . o . .
GET  /v1/calls                           . . o D A
GET  /v1/calls/{id}                      d . o D A
GET  /v1/suppressions                    . . o D A
POST /v1/suppressions                    d . o D .
POST /v1/suppressions/check              . . o D A
POST /v1/suppressions/remove             . . . D .
GET  /v1/requests                        . . . D A
POST /v1/requests                        . a . D .
GET  /v1/requests/{reference}            . . . D A
POST /v1/requests/{reference}/verify     . . . D .
POST /v1/requests/{reference}/start      . . . D .
POST /v1/requests/{reference}/extend     . . . D .
POST /v1/requests/{reference}/resolve    . . . D .
POST /v1/requests/{reference}/refuse     . . . D .
POST /v1/requests/{reference}/withdraw   . . . D .
GET  /v1/agents/{id}/events              d a . . .
"""


def table() -> dict[tuple[str, str], set[Role]]:
    rows = (line.split() for line in ALLOWED.strip().splitlines())
    return {
        (method, path): {role for role, mark in zip(Role, marks, strict=True) if mark != "."}
        for method, path, *marks in rows
    }


def somewhere(path: str) -> str:
    """A path of that shape at which there is nothing to see or spoil; of the agent's events, another's."""
    return (
        path.replace("/calls/{id}", "/calls/00000000-0000-4000-8000-000000000000")
        .replace("{reference}", "ACME-2026-000099")
        .replace("{id}", "nobody-there")
    )


async def test_an_endpoint_answers_who_shows_no_token_or_a_wrong_one(api: Api, front: Front) -> None:
    for method, path in routes_of(application({}, front)):
        bare = await api.ask(method, somewhere(path), role=None)
        wrong = await api.ask(method, somewhere(path), token=f"ccari_{'x' * 43}")
        if (method, path) in OPEN:
            assert (bare.status, wrong.status) == (HTTPStatus.OK, HTTPStatus.OK), path
            continue
        bare.problem(HTTPStatus.UNAUTHORIZED)
        wrong.problem(HTTPStatus.UNAUTHORIZED)
        assert bare.headers["www-authenticate"] == 'Bearer realm="ccari"'
        assert 'error="invalid_token"' in wrong.headers["www-authenticate"]


async def test_an_endpoint_is_in_no_table(front: Front) -> None:
    assert set(routes_of(application({}, front))) == OPEN | set(table())


@pytest.mark.parametrize("role", Role)
async def test_a_role_may_do_more_or_less_than_is_written(api: Api, role: Role) -> None:
    for (method, path), roles in table().items():
        if path.endswith("/events"):
            continue  # what is open for ever has tests of its own
        answer = await api.ask(method, somewhere(path), {} if method == "POST" else None, role=role)
        if role in roles:
            assert answer.status not in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}, (path, answer)
        else:
            told = answer.problem(HTTPStatus.FORBIDDEN)
            assert f"not for the role {role}" in told["detail"]


@pytest.mark.parametrize("role", [Role.OPS, Role.DPO, Role.AUDITOR])
async def test_a_role_without_calls_opens_an_agents_events(api: Api, role: Role) -> None:
    answer = await api.ask("GET", "/v1/agents/anna/events", role=role)
    answer.problem(HTTPStatus.FORBIDDEN)
