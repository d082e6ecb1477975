"""Schemathesis tests the whole API from its own description, with a token of each role, on the real server and database."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from http import HTTPStatus
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
import pytest_asyncio
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from ccari.policy.gate import Block
from ccari.ports.access import Role
from ccari.ports.placing import CallToPlace, Placed
from ccari.store.database import Database
from ccari.store.opened import Store
from ccari.web.front import Front
from ccari.web.rates import LookUp, Rates
from tests.unit.store.kept import Shelf
from tests.unit.web.api import NUMBER, Api, serving
from tests.unit.web.test_same_rows import filled

#: Examples for each operation, of each way: by its schema, against its schema, and by its schema at a place that exists.
EXAMPLES = {Role.DPO: 5}
FEW = 2
#: One of them may do all that is for anybody else, too; others are asked the last way only.
EVERY_WAY = {Role.DPO, Role.OPS}
CHECKS = [
    not_a_server_error, status_code_conformance, content_type_conformance, response_headers_conformance,
    response_schema_conformance, negative_data_rejection,
]  # fmt: skip
SECONDS = 30.0
BODY = {
    "number": NUMBER, "controller": "acme", "campaign": "renewals", "request": "ACME-2026-000001", "until": "2099-12-31",
    "purpose": "marketing", "agent": "anna", "received": "2026-01-31", "level": "L0",
}  # fmt: skip
QUERY = {"controller": "acme", "after": None, "revision": 1}
LISTS = {
    "/v1/suppressions/import": "number,reason\n600100009,objection",
    "/v1/contacts/import": "number,source,obtained,basis\n600100009,fair,2026-01-31,contract",
    "/v1/contacts/scrub": "600100009",
    "/v1/consents/import": "number,purpose,channel,given,proof\n600100009,marketing,phone,2020-01-01,form",
}


class Somebody:
    """Places calls: every other one is blocked."""

    def __init__(self) -> None:
        self._placed = 0

    async def place(self, _: CallToPlace) -> Placed:
        self._placed += 1
        return Placed(uuid4(), Block.SUPPRESSED_ERASURE if self._placed % 2 else None)


@pytest_asyncio.fixture
async def shelf(store: Store, database: Database, front: Front, tmp_path: Path) -> Shelf:
    return await filled(store, database, front, tmp_path)


@pytest_asyncio.fixture
async def api(store: Store, front: Front, shelf: Shelf) -> AsyncIterator[Api]:
    # rate limits are tested elsewhere
    unhindered = Rates(dict.fromkeys(LookUp, 10**6))
    async with serving(store, replace(front, placing=Somebody()), rates=unhindered) as running:
        yield running


async def known(store: Store) -> dict[str, dict[str, Any]]:
    """A place that exists, by the path of the operation."""
    calls = await store.database.rows("SELECT id FROM calls WHERE outcome IS NOT NULL")
    recordings = await store.database.rows("SELECT id FROM recordings WHERE file IS NOT NULL ORDER BY id")
    requests = await store.database.rows("SELECT reference FROM rights_requests ORDER BY 1")
    call, recording, reference = calls[0], recordings[0], requests[0]["reference"]

    def of(id_: UUID | str) -> dict[str, Any]:
        return {"id": str(id_)}

    return {
        "/v1/calls/{id}": of(call["id"]), "/v1/evidence/calls/{id}": of(call["id"]), "/v1/campaigns/{id}": of("renewals"),
        "/v1/recordings/{id}": of(recording["id"]), "/v1/recordings/{id}/file": of(recording["id"]),
        "/v1/revisions/{number}": {"number": 1}, "/v1/holds/{number}/release": {"number": 1},
        "/v1/evidence/requests/{reference}": {"reference": reference},
        **{f"/v1/requests/{{reference}}{step}": {"reference": reference}
           for step in ("", "/verify", "/start", "/extend", "/resolve", "/refuse", "/withdraw")},
    }  # fmt: skip


def with_sense(case: Any) -> Any:
    """Replace made-up names by names that exist."""
    if case.media_type == "text/csv":
        case.body = f"{LISTS[case.operation.path]}\n".encode()
    for fields, names in ((case.body, BODY), (case.query, QUERY)):
        if isinstance(fields, dict):
            fields.update({name: value for name, value in names.items() if name in fields})
    if case.operation.path.endswith(("import", "export", "scrub")):
        case.query = (
            {"campaign": "renewals"} if case.operation.path.endswith("scrub") else {"controller": "acme"}
        )
    if isinstance(case.body, dict) and case.operation.path == "/v1/holds":
        case.body = {"number": NUMBER, "controller": "acme", "reason": "claim"}
    return case


def walk(
    url: str, document: dict[str, Any], token: str, places: Mapping[str, dict[str, Any]], role: Role
) -> set[tuple[str, int]]:
    """Every operation except the streams, which stay open for ever; returns the answers, by path."""
    seen: set[tuple[str, int]] = set()
    wrong: list[str] = []
    schema = schemathesis.openapi.from_dict(document)
    told = settings(
        max_examples=EXAMPLES.get(role, FEW), deadline=None, database=None, derandomize=True, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    for result in schema.get_all_operations():
        operation: Any = result.ok()  # type: ignore[union-attr]
        if operation.path.endswith("/events"):
            continue
        there = {"path_parameters": places[operation.path]} if operation.path in places else {}
        ways: list[dict[str, Any]] = [{}, {"generation_mode": GenerationMode.NEGATIVE}, there]
        ways = ways if role in EVERY_WAY else ways[-1:]
        for number, way in enumerate(ways):
            cases = operation.as_strategy(**way)
            sensible = number == len(ways) - 1
            cases = cases.map(with_sense) if sensible else cases
            # schemathesis does not know that a value was replaced
            checks = [each for each in CHECKS if each is not negative_data_rejection] if sensible else CHECKS

            @told
            @given(case=cases)
            def ask(case: Any) -> None:
                answer = case.call(
                    base_url=url, headers={"authorization": f"Bearer {token}"}, timeout=SECONDS
                )
                seen.add((case.operation.path, answer.status_code))
                assert NUMBER.encode() not in answer.content
                case.validate_response(answer, checks=checks)  # noqa: B023 - called at once

            try:
                ask()
            except (Exception, BaseExceptionGroup) as error:  # noqa: BLE001 - all that is wrong is told at once
                wrong.append(f"{operation.label} {way}: {error}")
    assert not wrong, "\n\n".join(wrong)
    return seen


@pytest.mark.parametrize("role", Role)
async def test_an_answer_is_not_as_it_is_described(api: Api, store: Store, role: Role) -> None:
    document = (await api.ask("GET", "/openapi.json", role=None)).json
    seen = await asyncio.to_thread(walk, api.url, document, await api.of(role), await known(store), role)
    paths = {path for path in document["paths"] if not path.endswith("/events")}
    assert {path for path, _ in seen} == paths
    if role is Role.DPO:
        done = {path for path, status in seen if status < HTTPStatus.BAD_REQUEST}
        assert len(done) > 0.7 * len(paths), sorted(paths - done)
