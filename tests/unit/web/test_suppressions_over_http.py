"""Suppressions over HTTP: the same rows as the command writes, and nothing of another controller's."""

import shutil
from http import HTTPStatus
from pathlib import Path
from typing import Any

from ccari.keyring.secrets import Holder, SecretStore
from ccari.policy.suppression import Reason
from ccari.ports.access import Role
from ccari.ports.accesses import WantedAccesses
from ccari.store.opened import Store
from ccari.web.front import Front
from tests.unit.store import made
from tests.unit.store.commands import on
from tests.unit.web.api import AS_WRITTEN, NUMBER, Api

BARS = "/v1/suppressions"
ACME = {"number": AS_WRITTEN, "controller": "acme"}


async def rows(store: Store) -> list[dict[str, Any]]:
    return await store.database.rows(
        "SELECT controller, digest, key_version, campaign, reason, proof, expires_at FROM suppressions ORDER BY id"
    )


async def test_a_bar_is_another_than_the_commands(
    api: Api, store: Store, front: Front, dsn: str, tmp_path: Path
) -> None:
    body = {**ACME, "reason": "objection", "campaign": "renewals", "proof": "letter 7", "until": "2099-12-31"}
    done = await api.ask("POST", BARS, body, role=Role.DIALER)
    assert (done.status, done.json) == (HTTPStatus.OK, {
        "controller": "acme", "campaign": "renewals", "number": "+48•••••0001", "reason": "objection", "added": True,
    })  # fmt: skip
    assert (await api.ask("POST", BARS, body)).json["added"] is False
    (entered,) = await rows(store)
    (origin,) = await store.database.rows("SELECT origin FROM suppressions")
    assert origin["origin"] == "token:the-dialer"
    await store.database.rows("DELETE FROM suppressions RETURNING 1")
    ccari = on(dsn, tmp_path)
    options = (
        "--controller",
        "acme",
        "--campaign",
        "renewals",
        "--reason",
        "objection",
        "--proof",
        "letter 7",
    )
    await ccari.json("suppress", "add", AS_WRITTEN, *options, "--until", "2099-12-31")
    assert await rows(store) == [entered]


async def test_a_number_is_called_free_that_was_barred_under_a_secret_of_another_node(
    api: Api, store: Store, front: Front, tmp_path: Path
) -> None:
    """It was made after the service had started, and is not copied yet."""
    assert (await api.ask("POST", f"{BARS}/check", ACME, role=Role.DPO)).json["bars"] == []
    there = tmp_path / "another node"
    shutil.copytree(tmp_path / "keys", there)
    secrets = await store.key_versions.vouch(SecretStore(there))
    await store.key_versions.make(secrets, Holder("controller", "acme"))
    # nothing depends on it yet
    assert (await api.ask("POST", f"{BARS}/check", ACME, role=Role.DPO)).json["bars"] == []
    await store.suppressions.add(
        "acme", secrets.digests("acme", made.NUMBER), Reason.OBJECTION, "cli:anna", "letter 7"
    )
    for path, body in (
        (f"{BARS}/check", ACME),
        (f"{BARS}/remove", {**ACME, "why": "by mistake"}),
        ("/v1/contacts/check", ACME),
    ):
        told = await api.ask("POST", path, body, role=Role.DPO)
        assert NUMBER not in told.text
        problem = told.problem(HTTPStatus.SERVICE_UNAVAILABLE)
        assert problem["reason"] == "store_unavailable"
        assert problem["detail"] == (
            "this node cannot use version 2 of the suppression secret of 'acme': ask another node, or have its operator look "
            "for http_unfit in its log"
        )
        assert str(tmp_path) not in told.text
    shutil.copy(there / "acme/suppression-2.key", tmp_path / "keys/acme")
    found = await api.ask("POST", f"{BARS}/check", ACME, role=Role.DPO)
    assert [each["reason"] for each in found.json["bars"]] == ["objection"]


async def test_a_bar_is_not_told_or_not_lifted(api: Api, store: Store) -> None:
    await api.ask("POST", BARS, {**ACME, "reason": "erasure"})
    await api.ask("POST", BARS, {**ACME, "campaign": "renewals"})
    told = (await api.ask("POST", f"{BARS}/check", ACME, role=Role.AUDITOR)).json
    assert told["barred"] is True
    assert [(each["scope"], each["reason"], each["campaign"], each["stands"]) for each in told["bars"]] == [
        ("controller", "erasure", None, True), ("campaign", "do_not_call", "renewals", True),
    ]  # fmt: skip
    lifted = await api.ask("POST", f"{BARS}/remove", {**ACME, "why": "a mistake", "reason": "erasure"})
    assert [each["reason"] for each in lifted.json["lifted"]] == ["erasure"]
    kept = await store.database.rows("SELECT reason, removed_by, why FROM removed_suppressions")
    assert kept == [{"reason": "erasure", "removed_by": "token:the-dpo", "why": "a mistake"}]
    await api.ask("POST", f"{BARS}/remove", {**ACME, "why": "a mistake"})
    assert (await api.ask("POST", f"{BARS}/remove", {**ACME, "why": "again"})).json == {"lifted": []}
    assert (await api.ask("POST", f"{BARS}/check", ACME)).json == {"barred": False, "bars": []}
    nothing = await api.ask("POST", f"{BARS}/remove", {**ACME, "why": " "})
    nothing.problem(HTTPStatus.UNPROCESSABLE_ENTITY)


async def test_nobody_can_tell_who_has_barred_a_number_or_lifted_its_bars(api: Api, store: Store) -> None:
    """Even if the answer only says that the number was barred already, or that there was nothing to lift."""
    for _ in range(2):
        await api.ask("POST", BARS, {**ACME, "reason": "erasure"})
    for _ in range(2):
        await api.ask("POST", BARS + "/remove", {**ACME, "reason": "erasure", "why": "x"})
    noted = (await store.accesses.list(5, WantedAccesses()))[::-1]
    assert [(each["who"], each["access"], each["why"]) for each in noted] == [
        ("token:the-dpo", "number_barred", ""), ("token:the-dpo", "number_barred", ""),
        ("token:the-dpo", "bars_lifted", ""), ("token:the-dpo", "number_checked", "lifting"),
    ]  # fmt: skip
    assert {(each["what"]["controller"], len(each["what"]["digest"])) for each in noted} == {("acme", 64)}


async def test_a_bar_is_entered_that_cannot_be(api: Api, store: Store) -> None:
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"number": "12"}, "#/number"), ({"controller": None}, "#/controller"), ({"controller": "nobody"}, "#/controller"),
        ({"controller": "48600100001"}, "#/controller"), ({"controller": "600 100 001"}, "#/controller"),
        ({"campaign": "48600100001"}, "#/campaign"),
        ({"campaign": "umfrage"}, "#/campaign"), ({"until": "2020-01-01"}, "#/until"), ({"until": "soon"}, "#/until"),
        ({"until": "0001-01-01"}, "#/until"), ({"reason": "spam"}, "#/reason"), ({"proof": "a\x00b"}, "#/proof"),
    ]  # fmt: skip
    for change, pointer in wrong:
        told = (await api.ask("POST", BARS, {**ACME, **change})).problem(HTTPStatus.UNPROCESSABLE_ENTITY)
        assert [each["pointer"] for each in told["errors"]] == [pointer], change
    assert await rows(store) == []


async def test_a_token_of_one_controller_reaches_another(api: Api, store: Store, front: Front) -> None:
    assert isinstance(front.secrets, SecretStore)
    digests = front.secrets.digests("other", made.NUMBER)
    await store.suppressions.add("other", digests, Reason.ERASURE, "test", "letter of the other")
    token = await api.token(Role.DPO, controllers={"acme"})
    for path, more in (("", {}), ("/check", {}), ("/remove", {"why": "x"})):
        foreign = await api.ask(
            "POST", BARS + path, {"number": NUMBER, "controller": "other", **more}, token=token
        )
        absent = await api.ask(
            "POST", BARS + path, {"number": NUMBER, "controller": "othar", **more}, token=token
        )
        told, same = (each.problem(HTTPStatus.UNPROCESSABLE_ENTITY) for each in (foreign, absent))
        assert told["detail"] == same["detail"].replace("othar", "other")
        assert told["detail"] == "there is no controller 'other', only acme"
    # it sees only one controller, and need not say which
    assert (await api.ask("POST", f"{BARS}/check", {"number": NUMBER}, token=token)).json["barred"] is False
    assert (await api.ask("GET", BARS, token=token)).json["items"] == []
    (await api.ask("GET", f"{BARS}?controller=other", token=token)).problem(HTTPStatus.UNPROCESSABLE_ENTITY)
    assert len((await api.ask("GET", BARS)).json["items"]) == 1
    assert len(await rows(store)) == 1


async def test_a_token_for_a_controller_that_is_gone_reaches_what_is_left(api: Api) -> None:
    token = await api.token(Role.DPO, controllers={"gone"})
    told = (await api.ask("POST", BARS, {"number": NUMBER}, token=token)).problem(
        HTTPStatus.UNPROCESSABLE_ENTITY
    )
    assert told["detail"] == "say which controller: one of none"


async def test_a_page_leaves_out_or_repeats_a_bar_or_shows_a_number(
    api: Api, store: Store, front: Front
) -> None:
    assert isinstance(front.secrets, SecretStore)
    for controller in ("acme", "other"):
        for number in made.numbers(5):
            digests = front.secrets.digests(controller, number)
            await store.suppressions.add(controller, digests, Reason.ERASURE, "test", "")
    await store.database.rows("UPDATE suppressions SET entered_at = now() WHERE id % 3 > 0 RETURNING 1")
    found: list[str] = []
    after = ""
    while after is not None:
        page = await api.ask("GET", f"{BARS}?limit=4{after and f'&after={after}'}", role=Role.OPS)
        assert "60010000" not in page.text
        found += [each["digest"] for each in page.json["items"]]
        after = page.json["next"]
    kept = await store.database.rows("SELECT encode(digest, 'hex') AS digest FROM suppressions")
    assert sorted(found) == sorted(each["digest"] for each in kept)
    assert len((await api.ask("GET", f"{BARS}?controller=other")).json["items"]) == 5
