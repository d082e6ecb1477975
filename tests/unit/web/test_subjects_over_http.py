"""What is kept of a person, and what proves a call, given out over HTTP: to those who may have it, and on record."""

import asyncio
import hashlib
import io
import json
import zipfile
from dataclasses import replace
from http import HTTPStatus
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from ccari.keyring.secrets import SecretStore
from ccari.policy.erasure import ErasureTerms
from ccari.policy.rights import Level, Right
from ccari.ports.access import Role
from ccari.ports.evidence import HeardSound
from ccari.recordings.evidence.keys import SigningKeys
from ccari.recordings.evidence.proving import Prover
from ccari.recordings.evidence.verifying import verify
from ccari.recordings.reading import open_checked
from ccari.recordings.subject import giving, pack
from ccari.recordings.subject.giving import clear
from ccari.store.database import Database
from ccari.store.opened import Store
from ccari.web import evidence
from ccari.web.endpoint import LONG_AT_ONCE
from ccari.web.front import Front
from tests.lab.waiting import until
from tests.unit.recordings.test_disk_that_hangs import SECONDS, Disk, assert_others_go_on, disk
from tests.unit.store import made, person
from tests.unit.store.kept import Shelf
from tests.unit.store.test_evidence_commands import over
from tests.unit.store.test_lost_secrets import HEEDED
from tests.unit.store.test_registers import listed, load
from tests.unit.store.test_replaying import Node
from tests.unit.web.api import NUMBER, Api, serving

__all__ = ["disk"]

EXPORT, PLAN, EVIDENCE = "/v1/subjects/export", "/v1/subjects/erasure-plan", "/v1/evidence"


@pytest.fixture
def shelf(store: Store, database: Database, front: Front, tmp_path: Path) -> Shelf:
    """A shelf whose people are kept under the digests that the front's secrets make."""
    assert isinstance(front.secrets, SecretStore)
    key = front.secrets.folder / "acme" / "suppression-1.key"
    key.write_text(b"acme".ljust(32, b".").hex())
    SigningKeys(front.secrets.folder).create()
    return Shelf(store, database, tmp_path / "recordings")


async def post(api: Api, path: str, body: Any, **more: Any) -> tuple[int, bytes]:
    headers = {"authorization": f"Bearer {more.get('token') or await api.of(Role.DPO)}"}
    async with api.session.post(api.url + path, json=body, headers=headers) as answer:
        return answer.status, await answer.read()


async def test_an_export_is_not_on_record_or_of_another(
    api: Api, store: Store, shelf: Shelf, tmp_path: Path
) -> None:
    call = await person.called(shelf)
    await person.known(shelf)
    reference = await person.asked(shelf, Right.ACCESS)
    status, content = await post(api, EXPORT, {"number": NUMBER, "request": reference.lower()})
    assert status == HTTPStatus.OK
    with zipfile.ZipFile(io.BytesIO(content)) as file:
        told = json.loads(file.read("data.json"))
        assert b'<html lang="pl">' in file.read("index.html")
    assert (told["reference"], [each["id"] for each in told["calls"]]) == (reference, [str(call.id)])
    assert len(told["contacts"]) == 2
    history = (await store.requests.show(reference)).history
    assert (history[-1]["who"], history[-1]["reason"][:18]) == ("token:the-dpo", "exported: 1 call, ")
    rows = await store.database.rows(
        "SELECT event, fields->>'request' AS request FROM accesses WHERE event LIKE 'subject%'"
    )
    assert rows == [{"event": "subject_exported", "request": reference}]
    # nothing of it is left once the answer is sent
    await until(lambda: not any((tmp_path / "exports").iterdir()), within=SECONDS)


async def test_a_right_that_waits_on_this_node_is_not_in_what_is_exported_over_http_and_nobody_says_so(
    api: Api, store: Store, database: Database, shelf: Shelf, tmp_path: Path
) -> None:
    reference, node = await person.asked(shelf, Right.ACCESS), Node(database, tmp_path)
    await node.press(await node.under_way())
    status, told = await post(api, EXPORT, {"number": NUMBER, "request": reference})
    assert (status, b"rights that they pressed wait on this node (1)" in told) == (HTTPStatus.CONFLICT, True)
    assert await store.database.rows("SELECT event FROM accesses WHERE event LIKE 'subject%'") == []
    assert len(await node.references()) == 1
    status, _ = await post(api, EXPORT, {"number": NUMBER, "request": reference})
    assert status == HTTPStatus.OK


@pytest.mark.parametrize(
    ("language", "status"), [("uk", HTTPStatus.OK), ("fr", HTTPStatus.UNPROCESSABLE_ENTITY)]
)
async def test_a_person_gets_a_page_in_another_language_than_was_chosen(
    api: Api, shelf: Shelf, language: str, status: HTTPStatus
) -> None:
    await person.called(shelf)
    reference = await person.asked(shelf, Right.ACCESS)
    answered, content = await post(
        api, EXPORT, {"number": NUMBER, "request": reference, "language": language}
    )
    assert answered == status, content
    if status is HTTPStatus.OK:
        with zipfile.ZipFile(io.BytesIO(content)) as file:
            assert b'<html lang="uk">' in file.read("index.html")


async def test_a_person_is_told_that_a_register_does_not_list_them_whose_secret_is_on_another_node(
    api: Api, store: Store, shelf: Shelf
) -> None:
    await store.policies.apply(HEEDED, "test")
    await load(store, listed(0))
    reference = await person.asked(shelf, Right.ACCESS)
    status, told = await post(api, EXPORT, {"number": NUMBER, "request": reference})
    assert status == HTTPStatus.SERVICE_UNAVAILABLE
    assert b"this node cannot use the suppression secret of 'robinson'" in told
    assert await store.database.rows("SELECT event FROM accesses WHERE event LIKE 'subject%'") == []


async def test_invariant_7_a_person_is_told_of_looks_that_were_made_for_another_controller(
    api: Api, store: Store, shelf: Shelf, front: Front
) -> None:
    assert isinstance(front.secrets, SecretStore)
    # a copy of a secret, under which both know the number by the same digest
    (theirs, mine) = (front.secrets.folder / each / "suppression-1.key" for each in ("other", "acme"))
    theirs.write_bytes(mine.read_bytes())
    reference = await person.asked(shelf, Right.ACCESS)
    for controller in ("acme", "other"):
        body = {"number": NUMBER, "controller": controller, "why": f"they asked {controller}"}
        await api.ask("POST", "/v1/suppressions/check", body)
    for campaign in ("renewals", "umfrage"):
        await api.ask("POST", "/v1/gate", {"number": NUMBER, "campaign": campaign})
    rows = await store.database.rows("SELECT DISTINCT fields->>'digest' AS digest FROM accesses")
    assert rows == [{"digest": made.digests().newest.hex()}]
    _, content = await post(api, EXPORT, {"number": NUMBER, "request": reference})
    with zipfile.ZipFile(io.BytesIO(content)) as file:
        told = json.loads(file.read("data.json"))["accesses"]
    assert [(each["access"], each["why"]) for each in told] == [
        ("number_checked", "they asked acme"), ("number_gated", ""),
    ]  # fmt: skip


async def test_an_export_from_a_disk_that_hangs_takes_the_threads_of_all_the_service(
    api: Api, shelf: Shelf, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    await shelf.put(await person.called(shelf))
    reference = await person.asked(shelf, Right.ACCESS)

    def late(*given: Any) -> bytes:
        disk.hang()
        return open_checked(*given)

    monkeypatch.setattr(pack, "open_checked", late)
    exporting = asyncio.create_task(post(api, EXPORT, {"number": NUMBER, "request": reference}))
    async with asyncio.timeout(SECONDS):
        while not disk.begun.is_set():  # noqa: ASYNC110 - a thread's event
            await asyncio.sleep(0.01)
    await assert_others_go_on()
    disk.works.set()
    assert (await exporting)[0] == HTTPStatus.OK


async def test_an_export_from_a_disk_that_hangs_is_waited_for_without_end_or_left_lying(
    api: Api, shelf: Shelf, disk: Disk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two of them occupied the turns of whoever wanted evidence, a recording or an export."""
    await shelf.put(await person.called(shelf))
    reference = await person.asked(shelf, Right.ACCESS)
    monkeypatch.setattr(giving, "EXPORT_SECONDS", 0.05)
    monkeypatch.setattr(pack, "open_checked", lambda *given: disk.hang() or open_checked(*given))
    async with asyncio.timeout(SECONDS):
        status, content = await post(api, EXPORT, {"number": NUMBER, "request": reference})
    assert status == HTTPStatus.SERVICE_UNAVAILABLE
    assert "the disk does not answer" in json.loads(content)["detail"]
    assert list((tmp_path / "exports").iterdir()) != []
    disk.works.set()
    await until(lambda: not any((tmp_path / "exports").iterdir()), within=SECONDS)


async def test_somebody_elses_talk_is_given_out_as_a_persons_own(
    api: Api, store: Store, shelf: Shelf
) -> None:
    recordings = [str(await shelf.put(await person.called(shelf))) for _ in range(2)]
    said = b"fLaC what was said"
    for each in recordings:
        place, digest = f"acme/{each}.flac", hashlib.sha256(said).digest()
        (shelf.folder / place).write_bytes(said)
        await store.database.rows(
            "UPDATE recordings SET file = $1, sha256 = $2 WHERE id = $3", place, digest, each
        )
    mine, swapped = recordings
    (shelf.folder / f"acme/{swapped}.flac").write_bytes(b"fLaC what somebody else said")
    reference = await person.asked(shelf, Right.ACCESS)
    status, content = await post(api, EXPORT, {"number": NUMBER, "request": reference})
    assert status == HTTPStatus.OK
    with zipfile.ZipFile(io.BytesIO(content)) as file:
        named = {each["id"]: each["audio"] for each in json.loads(file.read("data.json"))["recordings"]}
        audio = {name: file.read(name) for name in file.namelist() if name.startswith("recordings/")}
    assert audio == {f"recordings/{mine}.flac": said}
    assert named == {mine: f"recordings/{mine}.flac", swapped: None}
    history = (await store.requests.show(reference)).history
    assert "exported: 2 calls, 2 recordings, 1 without their audio; " in history[-1]["reason"]


async def test_data_are_given_out_on_a_request_that_is_no_ground(
    api: Api, store: Store, shelf: Shelf
) -> None:
    unsure = await person.asked(shelf, Right.ACCESS, level=Level.L1)
    erasure = await person.asked(shelf)
    sure = await person.asked(shelf, Right.ACCESS)
    for path, body, status in (
        (EXPORT, {"number": NUMBER, "request": unsure}, 409), (EXPORT, {"number": NUMBER, "request": erasure}, 409),
        (EXPORT, {"number": "+48600100007", "request": sure}, 409), (EXPORT, {"number": "12", "request": sure}, 422),
        (EXPORT, {"number": NUMBER, "request": "ACME-2026-000099"}, 404), (PLAN, {"number": NUMBER, "request": sure}, 409),
    ):  # fmt: skip
        (await api.ask("POST", path, body)).problem(status)
    token = await api.token(Role.DPO, controllers={"other"})
    (await api.ask("POST", EXPORT, {"number": NUMBER, "request": sure}, token=token)).problem(
        HTTPStatus.NOT_FOUND
    )
    assert await store.database.rows("SELECT FROM accesses") == []


async def test_a_plan_erases_something_or_is_not_the_one_that_is_carried_out(
    api: Api, store: Store, shelf: Shelf
) -> None:
    await person.called(shelf)
    await person.known(shelf)
    reference = await person.asked(shelf)
    plan = (await api.ask("POST", PLAN, {"number": NUMBER, "request": reference})).json
    assert (await api.ask("POST", PLAN, {"number": NUMBER, "request": reference})).json == plan
    wanted = await person.wanted(shelf, reference)
    done = await person.eraser(shelf).erase(wanted, ErasureTerms(person.now()))
    assert done.report is not None
    # what the erasure adds to the call's journal comes on top
    assert {each["what"]: each["count"] for each in plan["goes"]} == dict(done.report["erased"])
    rows = await store.database.rows("SELECT event FROM accesses WHERE event LIKE 'subject%'")
    assert [row["event"] for row in rows] == ["subject_looked_up"] * 2


async def test_evidence_proves_nothing_or_goes_to_another_controller(
    api: Api, store: Store, shelf: Shelf, front: Front, tmp_path: Path
) -> None:
    assert isinstance(front.secrets, SecretStore)
    keys = SigningKeys(front.secrets.folder).all()
    call, reference = await over(store), await person.asked(shelf)
    for path, which in ((f"calls/{call.id}", str(call.id)), (f"requests/{reference.lower()}", reference)):
        headers = {"authorization": f"Bearer {await api.of(Role.AUDITOR)}"}
        async with api.session.get(f"{api.url}{EVIDENCE}/{path}", headers=headers) as answer:
            verdict = verify(await answer.read(), keys, None)
            assert answer.headers["content-disposition"] == f'attachment; filename="evidence-{which}.zip"'
        assert verdict.id == which
        token = await api.token(Role.DPO, controllers={"other"})
        (await api.ask("GET", f"{EVIDENCE}/{path}", token=token)).problem(HTTPStatus.NOT_FOUND)
    opened = await shelf.call(made.call())
    (await api.ask("GET", f"{EVIDENCE}/calls/{opened.id}")).problem(HTTPStatus.CONFLICT)
    (await api.ask("GET", f"{EVIDENCE}/requests/ACME-2026-000099")).problem(HTTPStatus.NOT_FOUND)
    rows = await store.database.rows(
        "SELECT fields->>'of' AS of FROM accesses WHERE event = 'evidence_exported' ORDER BY seq"
    )
    assert [row["of"] for row in rows] == [str(call.id), reference]


async def test_whoever_may_not_see_a_call_learns_that_it_goes_on(
    api: Api, store: Store, shelf: Shelf
) -> None:
    mine = await shelf.call(made.call())
    reference = await person.asked(shelf)
    token = await api.token(Role.DPO, controllers={"other"})
    told = [
        (await api.ask("GET", f"{EVIDENCE}/{each}", token=token)).problem(HTTPStatus.NOT_FOUND)
        for each in (
            f"calls/{mine.id}",
            f"calls/{uuid4()}",
            f"requests/{reference}",
            "requests/ACME-2026-000099",
        )
    ]
    assert all(each == told[0] for each in told)
    # nor is it sealed because of them
    assert await store.database.rows("SELECT FROM seals") == []


async def test_whoever_may_not_see_a_request_learns_that_it_has_expired(api: Api, shelf: Shelf) -> None:
    """References are numbered: they would learn how many people have asked something of another controller."""
    expired, nothing = await person.asked(shelf, Right.ACCESS), "ACME-2026-000099"
    await person.expired(shelf, expired)
    token = await api.token(Role.DPO, controllers={"other"})
    for path in (EXPORT, PLAN):
        told = [
            await api.ask("POST", path, {"number": NUMBER, "request": each}, token=token)
            for each in (expired, nothing)
        ]
        assert told[0].problem(HTTPStatus.NOT_FOUND) == told[1].problem(HTTPStatus.NOT_FOUND)
        # their own officer is told why nothing can be given out
        own = (await api.ask("POST", path, {"number": NUMBER, "request": expired})).problem(
            HTTPStatus.CONFLICT
        )
        assert "no longer shows whose it was" in own["detail"]


async def test_evidence_of_what_was_played_from_a_disk_that_hangs_is_waited_for_without_end(
    store: Store, shelf: Shelf, front: Front, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two of them occupied the turns of whoever wanted evidence, a recording or an export, and two of the threads that all share."""
    assert isinstance(front.secrets, SecretStore)
    call, keys = await over(store), SigningKeys(front.secrets.folder)

    def heard(*_: object) -> list[HeardSound]:
        disk.hang()
        return []

    proving = Prover(store.seals, keys, heard)
    async with serving(store, replace(front, evidence=proving)) as api:
        with monkeypatch.context() as patched:
            patched.setattr(evidence, "PACK_SECONDS", 0.05)
            async with asyncio.timeout(SECONDS):
                told = [await api.ask("GET", f"{EVIDENCE}/calls/{call.id}") for _ in range(LONG_AT_ONCE + 1)]
                await assert_others_go_on()
        for each in told:
            assert "the disk does not answer" in each.problem(HTTPStatus.SERVICE_UNAVAILABLE)["detail"]
        disk.works.set()
        assert (await api.ask("GET", f"{EVIDENCE}/calls/{call.id}")).status == HTTPStatus.OK


async def test_evidence_tells_a_controllers_officer_of_other_controllers(
    api: Api, store: Store, shelf: Shelf, front: Front
) -> None:
    assert isinstance(front.secrets, SecretStore)
    keys = SigningKeys(front.secrets.folder).all()
    # under the revision that declares both
    call = replace(made.call(), revision=2)
    await store.calls.open(call, made.question(call))
    await store.calls.close(call.id, "busy", "", made.journal("call_ended"))
    files: dict[str, dict[str, bytes]] = {}
    for name, controllers in (("all", None), ("one", {"acme"})):
        token = await api.token(Role.DPO, controllers=controllers)
        headers = {"authorization": f"Bearer {token}"}
        async with api.session.get(f"{api.url}{EVIDENCE}/calls/{call.id}", headers=headers) as answer:
            made_ = await answer.read()
        assert verify(made_, keys, None).id == str(call.id)
        with zipfile.ZipFile(io.BytesIO(made_)) as archive:
            files[name] = {each: archive.read(each) for each in archive.namelist()}
    assert b"umfrage" in files["all"]["policy.toml"]
    assert files["all"].keys() - files["one"].keys() == {"policy.toml", "policy.json"}
    assert [name for name, content in files["one"].items() if b"umfrage" in content] == []


def test_an_export_that_was_cut_off_is_left_lying(tmp_path: Path) -> None:
    (scratch := tmp_path / "exports").mkdir()
    (scratch / ".0123.zip.4567.draft").write_bytes(b"of somebody")
    clear(scratch)
    assert list(scratch.iterdir()) == []
    # and if nothing was ever given out there is nothing to clear
    clear(tmp_path / "nowhere")
