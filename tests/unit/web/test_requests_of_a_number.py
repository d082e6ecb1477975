"""What a number has asked for before: found whenever it was asked, by those who may, on record, and nobody else's."""

from datetime import UTC, datetime, timedelta
from http import HTTPStatus

import pytest

from ccari.keyring.secrets import SecretStore
from ccari.ports.access import Role
from ccari.ports.accesses import Looked, WantedAccesses
from ccari.store.opened import Store
from ccari.web.front import Front
from tests.unit.store.made import new_secret
from tests.unit.web.api import AS_WRITTEN, NUMBER, Api
from tests.unit.web.test_requests_over_http import REQUESTS, enter, step

FIND = f"{REQUESTS}/find"


async def found(api: Api, token: str | None = None, **fields: object) -> list[str]:
    answer = await api.ask("POST", FIND, {"number": NUMBER, **fields}, token=token)
    assert answer.status == HTTPStatus.OK, answer
    assert "60010000" not in answer.text
    return [each["reference"] for each in answer.json["items"]]


async def test_a_request_is_lost_with_its_closure_or_under_an_older_secret(api: Api, front: Front) -> None:
    assert isinstance(front.secrets, SecretStore)
    before = datetime.now(UTC) - timedelta(days=3)
    closed = await enter(api, received=f"{before:%Y-%m-%d}")
    await step(api, closed, "refuse", reason="unfounded")
    new_secret(front.secrets, "acme")
    await enter(api, number="600 100 002")
    opened = await enter(api, right="access")
    other = await enter(api, number=NUMBER, controller="other")
    assert set(await found(api)) == {other, opened, closed}
    assert await found(api, controller="acme") == [opened, closed]
    # and nothing is looked for under a retired version, as with the bars
    front.secrets.retire("acme", 1)
    assert await found(api, controller="acme") == [opened]


async def test_a_token_of_one_controller_finds_what_was_asked_of_another(
    api: Api, front: Front, store: Store
) -> None:
    assert isinstance(front.secrets, SecretStore)
    # a copy of a secret, under which both know the number by the same digest
    (theirs, mine) = (front.secrets.folder / each / "suppression-1.key" for each in ("other", "acme"))
    theirs.write_bytes(mine.read_bytes())
    acme, other = await enter(api), await enter(api, number=NUMBER, controller="other")
    token = await api.token(Role.DPO, controllers={"acme"})
    assert (await found(api, token), await found(api, controller="other")) == ([acme], [other])
    await api.ask("POST", FIND, {"number": NUMBER, "controller": "other"}, token=token)
    refused = await api.ask("POST", FIND, {"number": NUMBER, "controller": "other"}, token=token)
    assert refused.problem(HTTPStatus.UNPROCESSABLE_ENTITY)["errors"][0]["pointer"] == "#/controller"
    rows = await store.accesses.list(9, WantedAccesses(looked=Looked.NUMBER_CHECKED))
    assert [each["what"]["controller"] for each in rows] == ["other", "acme"]


async def test_a_look_is_not_on_record_or_only_with_one_controller(api: Api, store: Store) -> None:
    assert await found(api, why="letter of 600100001") == []
    rows = await store.accesses.list(9, WantedAccesses(looked=Looked.NUMBER_CHECKED))
    assert {each["what"]["controller"]: each["what"]["in"] for each in rows} == {
        "acme": "requests", "other": "requests",
    }  # fmt: skip
    assert len({each["what"]["digest"] for each in rows}) == 2
    assert {(each["who"], "600100001" in each["why"]) for each in rows} == {("token:the-dpo", False)}


@pytest.mark.parametrize(
    ("change", "pointer"), [({"number": "12"}, "#/number"), ({"controller": "nobody"}, "#/controller")]
)
async def test_what_is_no_number_has_asked_for_nothing(
    api: Api, store: Store, change: dict[str, str], pointer: str
) -> None:
    told = (await api.ask("POST", FIND, {"number": NUMBER, **change})).problem(
        HTTPStatus.UNPROCESSABLE_ENTITY
    )
    assert [each["pointer"] for each in told["errors"]] == [pointer]
    assert await store.accesses.list(9, WantedAccesses()) == []


async def test_a_number_without_its_country_is_looked_for_as_somebody_elses(api: Api) -> None:
    await enter(api)
    told = (await api.ask("POST", FIND, {"number": AS_WRITTEN})).problem(HTTPStatus.UNPROCESSABLE_ENTITY)
    assert "write it with the country's code" in told["detail"]
    assert len(await found(api, number=AS_WRITTEN, controller="acme")) == 1


async def test_what_is_left_out_passes_for_all(api: Api) -> None:
    first, second = await enter(api), await enter(api, right="access")
    for limit, more in ((1, True), (2, False)):
        told = (await api.ask("POST", FIND, {"number": NUMBER, "limit": limit})).json
        assert (len(told["items"]), told["more"]) == (limit, more)
        assert {each["reference"] for each in told["items"]} <= {first, second}
        assert told["controllers"] == ["acme", "other"]
