"""The person of a request in the console: what would be erased, what not and why, their file, all on record."""

import io
import json
import zipfile
from http import HTTPStatus
from pathlib import Path

import pytest

from ccari.keyring.secrets import SecretStore
from ccari.policy.erasure import ErasureTerms
from ccari.policy.rights import Level, RequestState, Right
from ccari.ports.access import Role
from ccari.ports.holds import HoldOn
from ccari.recordings.evidence.keys import SigningKeys
from ccari.store.database import Database
from ccari.store.opened import Store
from ccari.web.front import Front
from tests.unit.store import person
from tests.unit.store.kept import Shelf
from tests.unit.store.test_requests import by
from tests.unit.web.api import AS_WRITTEN, NUMBER, Api
from tests.unit.web.console.browsing import Seen, Visitor, signed_in

REQUESTS = "/console/requests"


@pytest.fixture
def shelf(store: Store, database: Database, front: Front, tmp_path: Path) -> Shelf:
    """A shelf whose people are kept under the digests that the front's secrets make."""
    assert isinstance(front.secrets, SecretStore)
    (front.secrets.folder / "acme" / "suppression-1.key").write_text(b"acme".ljust(32, b".").hex())
    SigningKeys(front.secrets.folder).create()
    return Shelf(store, database, tmp_path / "recordings")


def page(reference: str) -> str:
    return f"{REQUESTS}/{reference}/subject"


def said(seen: Seen) -> str:
    """The words of a page that shows no number."""
    assert seen.status == HTTPStatus.OK, seen.words
    assert "60010000" not in seen.text.replace(" ", "")
    return seen.words


async def looks(store: Store) -> list[tuple[str, str]]:
    return [
        (each["event"], each["request"])
        for each in await store.database.rows(
            "SELECT event, fields->>'request' AS request FROM accesses WHERE event LIKE 'subject%' ORDER BY seq"
        )
    ]


async def test_a_plan_is_another_than_the_apis_or_erases(
    api: Api, officer: Visitor, store: Store, shelf: Shelf
) -> None:
    await person.called(shelf)
    await person.known(shelf)
    earlier, reference = await person.asked(shelf, Right.RECTIFICATION), await person.asked(shelf)
    assert f'href="{page(reference)}"' in (await officer.get(f"/console/requests/{reference}")).text
    seen = await officer.get(page(reference))
    told = said(seen)
    plan = (await api.ask("POST", "/v1/subjects/erasure-plan", {"number": NUMBER, "request": reference})).json
    assert len(plan["goes"]) > 2
    for each in plan["goes"]:
        assert f'data-label="Count">{each["count"]}</td>' in seen.text
    assert f"ccari subject erase NUMBER --request {reference} --yes" in told
    assert f'href="/console/requests/{earlier}"' in seen.text
    assert f'action="{page(reference)}/export"' not in seen.text
    assert "it asks for something else" in told
    assert await looks(store) == [("subject_looked_up", reference)] * 2
    assert (
        await api.ask("POST", "/v1/subjects/erasure-plan", {"number": NUMBER, "request": reference})
    ).json == plan


async def test_what_refuses_an_erasure_is_not_told(
    api: Api, visitor: Visitor, store: Store, shelf: Shelf
) -> None:
    visitor.language = "pl"
    await shelf.put(await person.called(shelf))
    reference = await person.asked(shelf)
    await store.holds.place(HoldOn(reference=reference), "lawsuit", "cli:anna")
    await signed_in(api, visitor, Role.DPO)
    told = said(await visitor.get(page(reference)))
    assert "Nic nie zostałoby usunięte." in told
    assert "zabezpieczenie 1 (lawsuit)" in told
    assert "17 ust. 3 lit. e" in told
    assert "ccari subject erase" not in told
    unsure = await person.asked(shelf, level=Level.L1)
    seen = await visitor.get(page(unsure))
    assert "potrzebny jest poziom L2" in said(seen)
    # where it is recorded, without a command
    assert f'<a href="/console/requests/{unsure}#h-steps">' in seen.text
    assert 'id="h-steps"' in (await visitor.get(f"/console/requests/{unsure}")).text


@pytest.mark.parametrize("state", [None, RequestState.FULFILLED])
async def test_what_the_person_asked_for_otherwise_is_shown_as_a_ground_to_refuse(
    api: Api, visitor: Visitor, store: Store, shelf: Shelf, state: RequestState | None
) -> None:
    visitor.language = "pl"
    await shelf.put(await person.called(shelf))
    other, reference = await person.asked(shelf, Right.RESTRICTION), await person.asked(shelf)
    if state is not None:
        await store.requests.step(other, state, by("cli:anna", "granted"))
    await signed_in(api, visitor, Role.DPO)
    told = said(await visitor.get(page(reference)))
    assert f"żądanie {other} (ograniczenie przetwarzania)" in told
    assert "proszę odmówić" not in told
    assert "nie jest podstawą odmowy" in told
    assert "(art. 18 ust. 3)" in told


async def test_a_request_that_is_open_is_listed_as_closed_once_its_number_was_erased(
    api: Api, visitor: Visitor, store: Store, shelf: Shelf
) -> None:
    visitor.language = "pl"
    await shelf.put(await person.called(shelf))
    open_, closed = await person.asked(shelf), await person.asked(shelf, Right.RECTIFICATION)
    await person.resolved(shelf, closed)
    await person.eraser(shelf).erase(await person.wanted(shelf, open_), ErasureTerms(person.now()))
    await signed_in(api, visitor, Role.DPO)
    seen = await visitor.get(REQUESTS)
    said_of = {each.partition("</a>")[0]: each for each in seen.text.split(f'href="{REQUESTS}/')[1:]}
    for reference, words in ((open_, "usunięty razem z innymi danymi"), (closed, "usunięty przy zamknięciu")):
        assert words in next(row for name, row in said_of.items() if name.startswith(reference))
    assert "usunięty razem z innymi danymi" in said(await visitor.get(f"{REQUESTS}/{open_}"))


async def test_a_recording_that_was_erased_is_said_to_be_kept_until_a_day_to_come(
    officer: Visitor, shelf: Shelf
) -> None:
    recording = await shelf.put(await person.called(shelf))
    home = f"/console/recordings/{recording}"
    assert "Kept until 20" in (await officer.get(home)).words
    reference = await person.asked(shelf)
    await person.eraser(shelf).erase(await person.wanted(shelf, reference), ErasureTerms(person.now()))
    told = (await officer.get(home)).words
    assert f", erasure {reference}" in told
    assert "Kept until – " in told


async def test_what_was_erased_of_a_lifted_bar_is_shown_in_english_to_a_polish_officer(
    api: Api, visitor: Visitor, store: Store, shelf: Shelf
) -> None:
    visitor.language = "pl"
    await person.known(shelf, words=f"called from {AS_WRITTEN}")
    reference = await person.asked(shelf)
    await person.eraser(shelf).erase(await person.wanted(shelf, reference), ErasureTerms(person.now()))
    await signed_in(api, visitor, Role.DPO)
    seen = await visitor.send("/console/subjects", "/console/subjects", number=NUMBER, why="skarga")
    lifted = seen.text.partition("Zdjęte blokady</h4>")[2].partition("</table>")[0]
    assert lifted.count("<bdi>usunięte</bdi>") == len(("proof", "why"))
    assert "<bdi>erased</bdi>" not in lifted


async def test_the_file_for_the_person_is_not_given_out_or_not_on_record(
    officer: Visitor, store: Store, shelf: Shelf
) -> None:
    call = await person.called(shelf)
    reference = await person.asked(shelf, Right.ACCESS)
    home = page(reference)
    seen = await officer.get(home)
    assert "It does not contain the audio of encrypted recordings" in said(seen)
    form = seen.form(f"{home}/export")
    refused = await officer.ask("POST", f"{home}/export", {**form.fields, "csrf": "x"})
    assert refused.status == HTTPStatus.FORBIDDEN
    # of the controller's campaigns, as the request came in writing
    assert form.fields["language"] == "pl"
    chosen = {**form.fields, "language": "de"}
    async with officer.session.post(f"{officer.url}{home}/export", data=chosen) as answer:
        assert answer.status == HTTPStatus.OK
        assert answer.headers["content-disposition"] == f'attachment; filename="subject-{reference}.zip"'
        content = await answer.read()
    with zipfile.ZipFile(io.BytesIO(content)) as file:
        assert [each["id"] for each in json.loads(file.read("data.json"))["calls"]] == [str(call.id)]
        assert b'<html lang="de">' in file.read("index.html")
    history = (await store.requests.show(reference)).history
    assert history[-1]["reason"].startswith("exported: 1 call, ")
    assert await looks(store) == [("subject_looked_up", reference), ("subject_exported", reference)]


async def test_who_exports_the_data_and_closes_the_request_on_the_page_that_was_open_is_sent_back(
    officer: Visitor, store: Store, shelf: Shelf
) -> None:
    """The export begins the work on the request, and is in its history."""
    await person.called(shelf)
    reference = await person.asked(shelf, Right.ACCESS)
    request, home = f"/console/requests/{reference}", page(reference)
    opened = await officer.get(request)
    form = (await officer.get(home)).form(f"{home}/export")
    async with officer.session.post(f"{officer.url}{home}/export", data=form.fields) as answer:
        assert answer.status == HTTPStatus.OK
    assert [each["state"] for each in (await store.requests.show(reference)).history] == [
        "received",
        "in_progress",
    ]
    await officer.get(f"{request}/letters/fulfilled?form=text")
    closed = await officer.ask(
        "POST", f"{request}/resolve", {**opened.form(f"{request}/resolve").fields, "note": "sent by post"}
    )
    assert f"{reference} is now: fulfilled." in closed.words


async def test_what_the_person_reads_of_why_is_cut_off_from_the_reference(
    officer: Visitor, store: Store, shelf: Shelf
) -> None:
    await person.called(shelf)
    reference = await person.asked(shelf, Right.ACCESS)
    home = page(reference)
    form = (await officer.get(home)).form(f"{home}/export")
    async with officer.session.post(f"{officer.url}{home}/export", data=form.fields) as answer:
        content = await answer.read()
    with zipfile.ZipFile(io.BytesIO(content)) as file:
        told = json.loads(file.read("data.json"))["accesses"]
    assert [each["why"] for each in told if each["access"] == "subject_looked_up"] == [reference]


async def test_an_erased_number_keeps_its_person_from_being_looked_at_again(
    officer: Visitor, store: Store, shelf: Shelf
) -> None:
    await person.called(shelf)
    reference = await person.asked(shelf)
    done = await person.eraser(shelf).erase(await person.wanted(shelf, reference), ErasureTerms(person.now()))
    assert done.report is not None
    home = page(reference)
    assert "It was erased from the request" in said(await officer.get(home))
    shown = said(await officer.get(home.removesuffix("/subject")))
    assert "Number erased with the other data" in shown
    assert "Data erased" in shown
    assert "Carry out the erasure first" not in shown
    letter = await officer.get(home.replace("/subject", "/letters/fulfilled?language=en"))
    assert "We have erased" in said(letter)
    planned = await officer.send(home, home, number=AS_WRITTEN)
    assert "There is nothing left to erase." in said(planned)
    # whoever has asked for it sees the answer, and not the whole page again
    assert '<section class="card" aria-labelledby="h-erasure" tabindex="-1" autofocus>' in planned.text
    wrong = await officer.send(home, home, number="+48600100007")
    assert wrong.status == HTTPStatus.CONFLICT
    assert "it was made for another number" in wrong.words
    empty = await officer.send(home, home, number=" ")
    assert "It was erased from the request" in said(empty)


async def test_somebody_elses_person_is_looked_at(
    api: Api, visitor: Visitor, store: Store, shelf: Shelf
) -> None:
    await person.called(shelf)
    reference = await person.asked(shelf, Right.ACCESS)
    await signed_in(api, visitor, Role.DPO, "other")
    assert (await visitor.get(page(reference))).status == HTTPStatus.NOT_FOUND
    csrf = (await visitor.get("/console/requests/find")).form("/console/requests/find").fields["csrf"]
    answer = await visitor.ask("POST", f"{page(reference)}/export", {"csrf": csrf, "number": NUMBER})
    assert answer.status == HTTPStatus.NOT_FOUND
    assert await looks(store) == []


async def test_somebody_elses_request_is_said_to_have_expired(
    api: Api, visitor: Visitor, shelf: Shelf
) -> None:
    reference = await person.asked(shelf, Right.ACCESS)
    await person.expired(shelf, reference)
    await signed_in(api, visitor, Role.DPO, "other")
    seen, nothing = [await visitor.get(page(each)) for each in (reference, "ACME-2026-000099")]
    assert (seen.status, seen.words) == (HTTPStatus.NOT_FOUND, nothing.words)
    await signed_in(api, visitor, Role.DPO, "acme")
    assert "no longer shows whose it was" in (await visitor.get(page(reference))).words
