"""Every endpoint asks for a role, and each role gets what is written here and nothing else."""

import itertools
from collections.abc import Iterator
from http import HTTPStatus

import pytest
from aiohttp import web

from ccari.ports.access import Role
from ccari.store.opened import Store
from ccari.web.access import Doorkeeper
from ccari.web.front import Front
from ccari.web.server import application
from tests.unit.web.api import Api, routes_of, serving

OPEN = {
    ("GET", "/healthz"), ("HEAD", "/healthz"), ("GET", "/readyz"), ("HEAD", "/readyz"),
    ("GET", "/openapi.json"), ("HEAD", "/openapi.json"),
}  # fmt: skip
#: d(ialer), a(gent), o(ps), D(po), A(uditor)
ALLOWED = """
POST /v1/gate                            d . o D .
POST /v1/calls                           d . o . .
GET  /v1/calls                           . . o D A
POST /v1/calls/find                      . . . D .
GET  /v1/calls/events                    . . o D A
GET  /v1/calls/{id}                      d . o D A
GET  /v1/suppressions                    . . o D A
POST /v1/suppressions                    d . o D .
POST /v1/suppressions/check              . . o D A
POST /v1/suppressions/remove             . . . D .
POST /v1/suppressions/import             . . o D .
GET  /v1/suppressions/export             . . o D .
GET  /v1/contacts                        . . o D A
POST /v1/contacts/check                  . . o D A
POST /v1/contacts/import                 . . o D .
POST /v1/contacts/scrub                  . . o D .
GET  /v1/consents                        . . o D A
POST /v1/consents/check                  . . o D A
POST /v1/consents/import                 . . o D .
POST /v1/consents/withdraw               . . . D .
GET  /v1/recordings                      . . o D A
GET  /v1/recordings/{id}                 . . o D A
GET  /v1/recordings/{id}/file            . . . D A
GET  /v1/holds                           . . o D A
POST /v1/holds                           . . . D .
POST /v1/holds/{number}/release          . . . D .
POST /v1/subjects/find                   . . . D .
POST /v1/subjects/export                 . . . D .
POST /v1/subjects/erasure-plan           . . . D .
GET  /v1/evidence/calls/{id}             . . . D A
GET  /v1/evidence/requests/{reference}   . . . D A
GET  /v1/campaigns                       d . o D A
GET  /v1/campaigns/{id}                  d . o D A
GET  /v1/revisions                       . . o D A
GET  /v1/revisions/{number}              . . o D A
GET  /v1/requests                        . . . D A
POST /v1/requests                        . a . D .
POST /v1/requests/find                   . . . D .
GET  /v1/requests/export.csv             . . . D A
GET  /v1/requests/export.json            . . . D A
GET  /v1/requests/{reference}            . . . D A
POST /v1/requests/{reference}/verify     . . . D .
POST /v1/requests/{reference}/start      . . . D .
POST /v1/requests/{reference}/extend     . . . D .
POST /v1/requests/{reference}/resolve    . . . D .
POST /v1/requests/{reference}/refuse     . . . D .
POST /v1/requests/{reference}/withdraw   . . . D .
GET  /v1/webhooks                        . . o D A
POST /v1/webhooks/{number}/retry         . . o . .
GET  /v1/agents/{id}/events              d a . . .
"""
#: Whoever is not signed in is sent to the form.
CONSOLE = """
GET  /console                                          . a o D A
POST /console/sign-out                                 . a o D A
GET  /console/requests                                 . . . D A
GET  /console/requests/find                            . . . D .
POST /console/requests/find                            . . . D .
GET  /console/requests/new                             . . . D .
POST /console/requests/new                             . . . D .
GET  /console/requests/{reference}                     . . . D A
POST /console/requests/{reference}/verify              . . . D .
POST /console/requests/{reference}/start               . . . D .
POST /console/requests/{reference}/extend              . . . D .
POST /console/requests/{reference}/resolve             . . . D .
POST /console/requests/{reference}/refuse              . . . D .
POST /console/requests/{reference}/withdraw            . . . D .
POST /console/requests/{reference}/number              . . . D .
GET  /console/requests/{reference}/letters/{outcome}   . . . D .
GET  /console/requests/{reference}/evidence            . . . D A
GET  /console/requests/{reference}/subject             . . . D .
POST /console/requests/{reference}/subject             . . . D .
POST /console/requests/{reference}/subject/export      . . . D .
GET  /console/subjects                                 . . . D .
POST /console/subjects                                 . . . D .
GET  /console/calls/{id}/evidence                      . . . D A
GET  /console/overview                                 . . o D A
GET  /console/live                                     . . o D A
GET  /console/live/events                              . . o D A
GET  /console/agent                                    . a . . .
GET  /console/agent/events                             . a . . .
POST /console/agent/{id}/right                         . a . . .
GET  /console/calls                                    . . o D A
GET  /console/calls/find                               . . . D .
POST /console/calls/find                               . . . D .
GET  /console/calls/{id}                               . . o D A
GET  /console/recordings                               . . o D A
GET  /console/recordings/{id}                          . . o D A
POST /console/recordings/{id}/play                     . . . D .
POST /console/recordings/{id}/hold                     . . . D .
POST /console/holds/{number}/release                   . . . D .
GET  /console/suppressions                             . . o D A
POST /console/suppressions/check                       . . o D A
GET  /console/suppressions/import                      . . o D .
POST /console/suppressions/import                      . . o D .
GET  /console/campaigns                                . . o D A
GET  /console/campaigns/{number}                       . . o D A
GET  /console/campaigns/{number}/record                . . o D A
GET  /console/campaigns/{number}/information           . . o D A
POST /console/suppressions/add                         . . o D .
POST /console/suppressions/lift                        . . . D .
"""
CONSOLE_OPEN = {
    ("GET", "/"), ("HEAD", "/"), ("GET", "/console/"), ("HEAD", "/console/"),
    ("GET", "/console/sign-in"), ("HEAD", "/console/sign-in"), ("POST", "/console/sign-in"),
    ("GET", "/console/static/{name}"), ("HEAD", "/console/static/{name}"),
    ("GET", "/console/language/{code}"), ("HEAD", "/console/language/{code}"), ("*", "/console/{tail}"),
}  # fmt: skip


def table(text: str = ALLOWED) -> dict[tuple[str, str], set[Role]]:
    rows = (line.split() for line in text.strip().splitlines())
    return {
        (method, path): {role for role, mark in zip(Role, marks, strict=True) if mark != "."}
        for method, path, *marks in rows
    }


def somewhere(path: str) -> str:
    """A path of that shape at which there is nothing to see or spoil; for the agent's events, another agent's."""
    return (
        path.replace("/calls/{id}", "/calls/00000000-0000-4000-8000-000000000000")
        .replace("{reference}", "ACME-2026-000099")
        .replace("{id}", "nobody-there")
        .replace("{number}", "77777")
    )


def somewhere_in_the_console(app: web.Application) -> Iterator[tuple[str, str, set[Role]]]:
    """Each page that there is, at a place where there is nothing, and the roles that may see it."""
    known = table(CONSOLE)
    found = {each for each in routes_of(app) if _is_of_the_console(each[1])} - CONSOLE_OPEN
    # whoever requests what a form has made is sent back to the form
    made = {("GET", path) for method, path in known if method == "POST"} - set(known)
    assert found == set(known) | made
    for (method, path), roles in known.items():
        # what is open without end has tests of its own
        if path != "/console/sign-out" and not path.endswith("/events"):
            yield method, somewhere(path).replace("{outcome}", "receipt"), roles


def below_v1(app: web.Application) -> list[tuple[str, str]]:
    return [each for each in routes_of(app) if not _is_of_the_console(each[1])]


def _is_of_the_console(path: str) -> bool:
    return path == "/" or path.startswith("/console")


async def test_an_endpoint_answers_who_shows_no_token_or_a_wrong_one(store: Store, front: Front) -> None:
    # an hour between any two looks at the clock: nobody is refused because of earlier wrong tokens
    hours = itertools.count()
    async with serving(
        store, front, doorkeeper=Doorkeeper(front.bearers, lambda: next(hours) * 3600.0)
    ) as api:
        await _refused(api, front)


async def _refused(api: Api, front: Front) -> None:
    for method, path in below_v1(application({}, front)):
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
    assert set(below_v1(application({}, front))) == OPEN | set(table())


@pytest.mark.parametrize("role", Role)
async def test_a_role_may_do_more_or_less_than_is_written(api: Api, role: Role) -> None:
    for (method, path), roles in table().items():
        if path.endswith("/events"):
            continue  # what is open without end has tests of its own
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
