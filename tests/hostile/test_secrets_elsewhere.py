"""A secret that another node created and that is not copied here: somebody may have been barred, or known, under it."""

import shutil
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Any

from ccari.keyring.secrets import Holder, SecretStore
from ccari.policy.suppression import Reason
from ccari.ports.access import Role
from ccari.ports.keying import ListSecrets
from ccari.store.key_versions import KeyVersions
from ccari.store.opened import Store
from ccari.web.events import Streams
from ccari.web.front import Front
from ccari.web.routes import routes
from tests.hostile.test_look_ups import LIMITED, UNLIMITED
from tests.unit.store import made
from tests.unit.web.api import NUMBER, Answer, Api, serving

WHOSE = {"number": NUMBER, "controller": "acme"}
#: The request to each endpoint that takes a number, or a list of them.
ASKED: dict[str, Any] = {
    "/v1/gate": {"number": NUMBER, "campaign": "renewals"},
    "/v1/suppressions/check": WHOSE,
    "/v1/contacts/check": WHOSE,
    "/v1/consents/check": WHOSE,
    "/v1/requests/find": WHOSE,
    "/v1/calls/find": WHOSE,
    "/v1/subjects/find": WHOSE,
    "/v1/suppressions": WHOSE,
    "/v1/suppressions/remove": {**WHOSE, "why": "by mistake"},
    "/v1/requests": {**WHOSE, "right": "access"},
    "/v1/consents/withdraw": {**WHOSE, "proof": "letter 7"},
    "/v1/holds": {**WHOSE, "reason": "a claim"},
    "/v1/subjects/export": {},
    "/v1/subjects/erasure-plan": {},
}
LISTS = {
    "/v1/suppressions/import?controller=acme": NUMBER,
    "/v1/contacts/import?campaign=renewals&source=fair&obtained=2026-01-31&basis=contract": NUMBER,
    "/v1/contacts/scrub?campaign=renewals": NUMBER,
    "/v1/consents/import?controller=acme": f"number,purpose,channel,given,proof\n{NUMBER},renewals,phone,2026-01-31,x",
}


async def elsewhere(store: Store, folder: Path) -> None:
    """Another node has a newer secret, and has barred the number under it."""
    there = folder / "another node"
    shutil.copytree(folder / "keys", there)
    secrets = await store.key_versions.vouch(SecretStore(there))
    await store.key_versions.make(secrets, Holder("controller", "acme"))
    digests = secrets.digests("acme", made.NUMBER)
    await store.suppressions.add("acme", digests, Reason.OBJECTION, "cli:anna", "letter 7")


def restarted(store: Store, front: Front, folder: Path) -> AbstractAsyncContextManager[Api]:
    """The node that lacks it, restarted so that no earlier request has discovered that."""
    kept = SecretStore(folder / "keys")
    vouched = partial(KeyVersions(store.database).keep_vouching, kept)
    return serving(store, replace(front, secrets=kept, vouched=vouched))


def missed(told: Answer) -> None:
    problem = told.problem(HTTPStatus.SERVICE_UNAVAILABLE)
    assert "version 2 of the suppression secret of 'acme'" in problem["detail"]


async def test_a_number_is_looked_up_without_the_secret_that_it_may_be_kept_under(
    api: Api, front: Front, store: Store, tmp_path: Path
) -> None:
    entered = [
        await api.ask("POST", "/v1/requests", {**WHOSE, "right": right, "level": "L2", "note": "by passport"})
        for right in ("access", "erasure")
    ]
    access, erasure = (each.json["reference"] for each in entered)
    await elsewhere(store, tmp_path)
    asked = ASKED | {
        "/v1/subjects/export": {"number": NUMBER, "request": access},
        "/v1/subjects/erasure-plan": {"number": NUMBER, "request": erasure},
    }
    # the service that places calls asks its own gate for each of them
    numbers = {path for _, path in (*LIMITED, *UNLIMITED)} - {"/v1/calls"}
    assert asked.keys() == numbers
    for path, body in asked.items():
        async with restarted(store, front, tmp_path) as here:
            missed(await here.ask("POST", path, body))
    lists = {each.path for each in routes(Streams()) if each.takes_list}
    assert {path.partition("?")[0] for path in LISTS} == lists
    for path, text in LISTS.items():
        kind = {"content-type": "text/csv" if "," in text else "text/plain"}
        async with restarted(store, front, tmp_path) as here:
            missed(await here.ask("POST", path, data=text.encode(), headers=kind))


async def test_the_secrets_are_asked_about_where_no_number_is_looked_up(store: Store, front: Front) -> None:
    asked = 0

    async def vouched() -> ListSecrets:
        nonlocal asked
        asked += 1
        return await front.vouched()

    async with serving(store, replace(front, vouched=vouched)) as api:
        for path in (
            "requests",
            "calls",
            "campaigns",
            "suppressions?controller=acme",
            "contacts",
            "consents",
        ):
            assert (await api.ask("GET", f"/v1/{path}")).status == HTTPStatus.OK
        await api.ask("POST", "/v1/gate", ASKED["/v1/gate"], role=Role.DIALER)
        assert asked == 0
        await api.ask("POST", "/v1/suppressions/check", WHOSE)
        assert asked == 1
