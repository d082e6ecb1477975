"""The outbox of webhooks over HTTP: each controller's own, and no dead letter out of reach."""

from http import HTTPStatus

import pytest

from ccari.ports.access import Role
from ccari.ports.webhooks import Endpoint, Told
from ccari.store.database import Database
from ccari.store.opened import Store
from tests.unit.store import made
from tests.unit.web.api import Api

WEBHOOKS = "/v1/webhooks"


@pytest.fixture
async def told(store: Store, database: Database) -> Store:
    """Two calls of each controller have ended, of which a webhook was to be told, and another that accepted nothing."""
    await store.webhooks.know([Endpoint("crm", (Told.CALL_ENDED,)), Endpoint("erp", (Told.CALL_ENDED,))])
    for controller in ("acme", "other", "acme", "other"):
        call = made.call(controller)
        await store.calls.open(call, made.question(call))
        await store.calls.close(call.id, "busy", "", ())
    await database.rows(
        "UPDATE webhook_deliveries SET state = 'given_up', settled_at = now() WHERE endpoint = 'erp' RETURNING 1"
    )
    return store


async def test_a_page_of_the_outbox_leaves_something_out_or_is_anothers(api: Api, told: Store) -> None:
    found: list[int] = []
    after = ""
    while after is not None:
        page = (await api.ask("GET", f"{WEBHOOKS}?limit=3{after and f'&after={after}'}", role=Role.OPS)).json
        found += [each["id"] for each in page["items"]]
        after = page["next"]
    assert len(found) == len(set(found)) == 8
    token = await api.token(Role.AUDITOR, controllers={"acme"})
    mine = (await api.ask("GET", f"{WEBHOOKS}?state=waiting&endpoint=crm", token=token)).json["items"]
    assert {(each["controller"], each["state"], each["endpoint"]) for each in mine} == {
        ("acme", "waiting", "crm")
    }
    assert len(mine) == 2
    (await api.ask("GET", f"{WEBHOOKS}?state=lost")).problem(HTTPStatus.UNPROCESSABLE_ENTITY)


async def test_a_dead_letter_is_not_sent_again_or_by_somebody_else(api: Api, told: Store) -> None:
    dead = (await api.ask("GET", f"{WEBHOOKS}?state=given_up&controller=other")).json["items"]
    path = f"{WEBHOOKS}/{dead[0]['id']}/retry"
    foreign = await api.token(Role.OPS, controllers={"acme"})
    (await api.ask("POST", path, token=foreign)).problem(HTTPStatus.NOT_FOUND)
    assert (await api.ask("POST", path, role=Role.OPS)).json == {"retried": [dead[0]["id"]]}
    (await api.ask("POST", path, role=Role.OPS)).problem(HTTPStatus.NOT_FOUND)
    assert len((await api.ask("GET", f"{WEBHOOKS}?state=given_up&controller=other")).json["items"]) == 1
