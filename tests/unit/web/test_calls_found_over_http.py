"""The calls with a number: found by those who may, under each secret, on record, and nobody else's."""

from dataclasses import replace
from http import HTTPStatus

from ccari.keyring.secrets import SecretStore
from ccari.policy.numbers import Number
from ccari.ports.access import Role
from ccari.ports.accesses import Looked, WantedAccesses
from ccari.store.opened import Store
from ccari.web.front import Front
from tests.unit.store import made
from tests.unit.store.made import new_secret
from tests.unit.web.api import NUMBER, Api

FIND = "/v1/calls/find"


async def called(store: Store, front: Front, controller: str = "acme", number: Number = made.NUMBER) -> str:
    call = made.call(controller, number=number)
    call = replace(call, keyed=front.secrets.digests(controller, number))
    await store.calls.open(call, made.question(call))
    await store.calls.close(call.id, "busy", "", ())
    return str(call.id)


async def found(api: Api, token: str | None = None, **fields: object) -> list[str]:
    answer = await api.ask("POST", FIND, {"number": NUMBER, **fields}, token=token)
    assert answer.status == HTTPStatus.OK, answer
    assert "60010000" not in answer.text
    return [each["id"] for each in answer.json["items"]]


async def test_a_call_is_lost_under_an_older_secret_or_another_number_is_found(
    api: Api, front: Front, store: Store
) -> None:
    assert isinstance(front.secrets, SecretStore)
    first = await called(store, front)
    new_secret(front.secrets, "acme")
    await called(store, front, number=made.numbers(2)[1])
    second, other = await called(store, front), await called(store, front, "other")
    assert await found(api) == [other, second, first]
    assert await found(api, controller="acme") == [second, first]
    told = (await api.ask("POST", FIND, {"number": NUMBER, "limit": 2})).json
    assert ([each["id"] for each in told["items"]], told["more"]) == ([other, second], True)
    assert told["controllers"] == ["acme", "other"]


async def test_a_token_of_one_controller_finds_the_calls_of_another(
    api: Api, front: Front, store: Store
) -> None:
    assert isinstance(front.secrets, SecretStore)
    # a copy of a secret, under which both know the number by the same digest
    (theirs, mine) = (front.secrets.folder / each / "suppression-1.key" for each in ("other", "acme"))
    theirs.write_bytes(mine.read_bytes())
    acme, _ = await called(store, front), await called(store, front, "other")
    token = await api.token(Role.DPO, controllers={"acme"})
    assert await found(api, token, why="complaint of 600100001") == [acme]
    (look,) = await store.accesses.list(9, WantedAccesses(looked=Looked.NUMBER_CHECKED))
    assert (look["what"]["controller"], look["what"]["in"], look["why"]) == (
        "acme",
        "calls",
        "complaint of …",
    )
