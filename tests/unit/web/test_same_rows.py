"""The API and the command line say the same, about everything there is."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from ccari.keyring.secrets import SecretStore
from ccari.policy.rights import Right
from ccari.ports.holds import HoldOn
from ccari.ports.webhooks import Endpoint, Told
from ccari.recordings.evidence.keys import SigningKeys
from ccari.store.database import Database
from ccari.store.opened import Store
from ccari.web.front import Front
from tests.integration.service import Service
from tests.unit.store import made, person
from tests.unit.store.commands import on
from tests.unit.store.kept import Shelf
from tests.unit.web.api import AS_WRITTEN, NUMBER, Api

ACME = ("--controller", "acme")
WHOSE = {"number": NUMBER, "controller": "acme"}


@pytest.fixture
async def shelf(store: Store, database: Database, front: Front, tmp_path: Path) -> Shelf:
    return await filled(store, database, front, tmp_path)


async def filled(store: Store, database: Database, front: Front, tmp_path: Path) -> Shelf:
    """Some of everything that there is a list of."""
    assert isinstance(front.secrets, SecretStore)
    (front.secrets.folder / "acme" / "suppression-1.key").write_text(b"acme".ljust(32, b".").hex())
    SigningKeys(front.secrets.folder).create()
    await store.webhooks.know([Endpoint("crm", tuple(Told))])
    shelf = Shelf(store, database, tmp_path / "recordings")
    call = await person.called(shelf)
    await person.known(shelf)
    recording = await shelf.put(call)
    await shelf.put(await shelf.call(made.call("other")))
    for right in (Right.ACCESS, Right.ERASURE):
        await person.asked(shelf, right)
    await store.holds.place(HoldOn(recording_id=recording), "claim", "cli:anna")
    return shelf


@pytest.fixture
def ccari(dsn: str, tmp_path: Path, shelf: Shelf) -> Service:
    return on(dsn, tmp_path)


def plain(value: Any) -> Any:
    """A value as both would write it: moments to the second, and nothing for an empty campaign."""
    match value:
        case dict():
            return {name: plain(each) for name, each in value.items()}
        case list():
            return [plain(each) for each in value]
        case "":
            return None
        case str():
            try:
                return datetime.fromisoformat(value).timestamp() if "T" in value else value
            except ValueError:
                return value
        case _:
            return value


def within(shown: Any, told: Any) -> Any:
    """Of what the command line says, only what the API shows; everything that the API shows must be there."""
    match shown, told:
        case dict(), dict():
            assert set(shown) <= set(told)
            return {name: within(each, told[name]) for name, each in shown.items()}
        case list(), list():
            assert len(shown) == len(told)
            return [within(*each) for each in zip(shown, told, strict=True)]
        case _:
            return told


def assert_same(shown: Any, told: Any) -> None:
    assert shown
    assert plain(shown) == plain(within(shown, told))


async def test_a_list_is_another_on_the_command_line(api: Api, ccari: Service) -> None:
    for command, path in (
        (("calls", "list"), "/v1/calls"), (("suppress", "list", *ACME), "/v1/suppressions?controller=acme"),
        (("contacts", "list", *ACME), "/v1/contacts?controller=acme"), (("consents", "list"), "/v1/consents"),
        (("requests", "list", "--open"), "/v1/requests?open=true"), (("recordings", "list"), "/v1/recordings"),
        (("recordings", "holds"), "/v1/holds"), (("policy", "list"), "/v1/revisions"),
        (("webhooks", "list"), "/v1/webhooks"),
    ):  # fmt: skip
        assert_same((await api.ask("GET", path)).json["items"], await ccari.json(*command))


async def test_one_thing_is_another_on_the_command_line(api: Api, ccari: Service, store: Store) -> None:
    (access, erasure) = [row["reference"] for row in (await api.ask("GET", "/v1/requests")).json["items"]]
    call = next(row["id"] for row in await store.records.list_calls(9) if row["outcome"])
    recording = (await api.ask("GET", "/v1/recordings?controller=other")).json["items"][0]["id"]
    for command, path in (
        (("requests", "show", access), f"/v1/requests/{access}"), (("recordings", "show", recording), f"/v1/recordings/{recording}"),
    ):  # fmt: skip
        assert_same((await api.ask("GET", path)).json, await ccari.json(*command))
    shown = (await api.ask("GET", f"/v1/calls/{call}")).json
    assert shown.pop("whole")
    assert_same(shown, await ccari.json("calls", "show", str(call)))
    revision = (await api.ask("GET", "/v1/revisions/2")).json
    told = await ccari.json("policy", "show", "2")
    assert_same({name: each for name, each in revision.items() if name != "document"}, told)
    assert_same((await api.ask("GET", "/v1/campaigns?revision=2")).json["items"], told["campaigns"])
    # what the hold and the other request keep is all there is, and both say so
    plan = await api.ask("POST", "/v1/subjects/erasure-plan", {"number": NUMBER, "request": erasure})
    done = await ccari.ccari("subject", "erase", AS_WRITTEN, "--request", erasure)
    assert done.err.strip().endswith(plan.problem(409)["detail"])


async def test_a_number_is_told_of_otherwise_on_the_command_line(api: Api, ccari: Service) -> None:
    async def told(*arguments: str) -> Any:
        # the exit status says what was found
        return json.loads((await ccari.ccari(*arguments, "--json")).out)

    asked = (AS_WRITTEN, *ACME)
    checked = (await api.ask("POST", "/v1/suppressions/check", WHOSE)).json["bars"]
    assert_same(checked, await told("suppress", "check", *asked))
    known = (await api.ask("POST", "/v1/contacts/check", WHOSE)).json["sources"]
    assert_same(known, await told("contacts", "show", *asked))
    agreed = (await api.ask("POST", "/v1/consents/check", WHOSE)).json["consents"]
    assert_same(agreed, await told("consents", "show", *asked))
    asked_for = (await api.ask("POST", "/v1/requests/find", WHOSE)).json["items"]
    assert_same(asked_for, await told("requests", "find", *asked))
    called = (await api.ask("POST", "/v1/calls/find", WHOSE)).json["items"]
    assert called
    assert_same(called, await told("calls", "find", *asked))


async def test_a_list_goes_in_or_out_otherwise_on_the_command_line(
    api: Api, ccari: Service, store: Store, tmp_path: Path
) -> None:
    given = await api.ask("GET", "/v1/suppressions/export?controller=acme")
    assert given.text == (await ccari.ccari("suppress", "export", *ACME)).out
    rows = f"number,source,obtained,basis\n{NUMBER},shop,2026-01-31,contract\n12,shop,2026-01-31,contract\n"
    for form in ("csv", "json"):
        given = await api.ask("GET", f"/v1/requests/export.{form}?controller=acme")
        assert given.text == (await ccari.ccari("requests", "export", *ACME, "--format", form)).out
    (file := tmp_path / "list.csv").write_text(rows)
    refused = await ccari.ccari("contacts", "import", str(file), *ACME, "--json")
    problem = await api.ask(
        "POST",
        "/v1/contacts/import?controller=acme",
        data=rows.encode(),
        headers={"content-type": "text/csv"},
    )
    report = {name: each for name, each in problem.problem(422)["report"].items() if name != "unasked"}
    assert_same(report, json.loads(refused.out))
    scrubbed = await ccari.ccari("contacts", "scrub", str(file), "--campaign", "renewals")
    left = await api.ask(
        "POST",
        "/v1/contacts/scrub?campaign=renewals",
        data=rows.encode(),
        headers={"content-type": "text/csv"},
    )
    assert left.text == scrubbed.out
