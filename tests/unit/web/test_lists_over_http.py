"""Long lists over HTTP: accepted whole or not at all, as they arrive, and given out so that no part passes for the whole."""

import asyncio
import base64
import contextlib
import json
from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest
from yarl import URL

from ccari.errors import StoreError
from ccari.policy.suppression import Reason
from ccari.ports.access import Role
from ccari.ports.accesses import Looked, WantedAccesses
from ccari.ports.lists import Report
from ccari.store.opened import Store
from ccari.store.suppressions import Suppressions
from ccari.web import downloads, pace, uploads
from ccari.web.connections import Connection
from ccari.web.front import Front
from tests.unit.store import made
from tests.unit.web.api import NUMBER, Answer, Api
from tests.unit.web.coming_in import lists_coming_in

BARS, CONTACTS, CONSENTS = "/v1/suppressions", "/v1/contacts", "/v1/consents"
CSV = {"content-type": "text/csv"}
SECONDS = 30.0


async def give(
    api: Api, path: str, text: str, *, headers: dict[str, str] | None = None, **more: Any
) -> Answer:
    return await api.ask("POST", path, data=text.encode(), headers={**CSV, **(headers or {})}, **more)


async def audit(store: Store) -> list[tuple[str, str]]:
    rows = await store.database.rows("SELECT event, fields->>'who' AS who FROM accesses ORDER BY seq")
    return [(row["event"], row["who"]) for row in rows]


async def test_what_was_exported_is_another_when_it_is_imported(api: Api, store: Store) -> None:
    text = f"number,reason,proof\n{NUMBER},objection,=cmd\n600 100 002,do_not_call,letter\n600100002,do_not_call,\n"
    report = (await give(api, f"{BARS}/import?controller=acme&proof=list%207", text)).json
    assert report == {
        "taken": True, "lines": 3, "accepted": 2, "duplicate": 1, "invalid": 0, "doubtful": 0, "first_doubtful": None, "barred": None,
        "unasked": None, "faults": [],
    }  # fmt: skip
    given = await api.ask("GET", f"{BARS}/export?controller=acme", role=Role.OPS)
    assert given.headers["content-disposition"] == 'attachment; filename="suppressions-acme.csv"'
    assert NUMBER[3:] not in given.text
    before = await store.database.rows(
        "SELECT controller, digest, reason, proof, origin FROM suppressions ORDER BY 2"
    )
    assert {row["origin"] for row in before} == {"import:token:the-dpo"}
    await store.database.rows("DELETE FROM suppressions RETURNING 1")
    again = (await give(api, f"{BARS}/import?controller=acme", given.text)).json
    assert (again["accepted"], again["invalid"]) == (2, 0)
    after = await store.database.rows(
        "SELECT controller, digest, reason, proof, origin FROM suppressions ORDER BY 2"
    )
    assert after == before
    assert await audit(store) == [
        ("list_imported", "token:the-dpo"),
        ("bars_exported", "token:the-ops"),
        ("list_imported", "token:the-dpo"),
    ]


@pytest.mark.parametrize("path", [BARS, CONTACTS, CONSENTS])
async def test_a_list_with_a_bad_line_changes_something_or_is_not_reported(
    api: Api, store: Store, path: str
) -> None:
    rows = {
        BARS: "number,reason\n600100001,objection\n12,objection\n600100002,spam\n",
        CONTACTS: "number,source,obtained,basis\n600100001,fair,2026-01-31,contract\n12,fair,2026-01-31,contract\n"
        "600100002,fair,soon,contract\n",
        CONSENTS: "number,purpose,channel,given,proof\n600100001,marketing,phone,2020-01-01,form\n"
        "12,marketing,phone,2020-01-01,form\n600100002,marketing,pigeon,2020-01-01,form\n",
    }[path]
    refused = await give(api, f"{path}/import?controller=acme", rows)
    told = refused.problem(HTTPStatus.UNPROCESSABLE_ENTITY)["report"]
    assert (told["taken"], told["lines"], told["invalid"]) == (False, 3, 2)
    assert [each["line"] for each in told["faults"]] == [3, 4]
    assert (await api.ask("GET", path)).json["items"] == []
    taken = (await give(api, f"{path}/import?controller=acme&keep_going=true", rows)).json
    assert (taken["taken"], taken["accepted"], taken["invalid"]) == (True, 1, 2)
    page = await api.ask("GET", path)
    assert len(page.json["items"]) == 1
    assert NUMBER[3:] not in page.text


async def test_what_is_no_list_is_taken_for_one(api: Api, store: Store) -> None:
    for text, words in (
        ("name,reason\nx,y\n", "neither a telephone number nor the header"),
        ("number,colour\n600100001,red\n", "'colour' is not a known column"),
    ):
        told = (await give(api, f"{BARS}/import?controller=acme", text)).problem(
            HTTPStatus.UNPROCESSABLE_ENTITY
        )
        assert words in told["detail"]
    kind = await api.ask("POST", f"{BARS}/import?controller=acme", {"number": NUMBER})
    kind.problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
    for query in (
        "",
        "?controller=nobody",
        "?controller=acme&campaign=umfrage",
        "?controller=acme&proof=600100001",
    ):
        wrong = await give(api, f"{BARS}/import{query}", "600100001\n")
        wrong.problem(HTTPStatus.UNPROCESSABLE_ENTITY)
    assert (await api.ask("GET", BARS)).json["items"] == []
    assert (await give(api, f"{BARS}/import?controller=acme", "", headers=CSV)).json["lines"] == 0


async def test_a_token_of_one_controller_reaches_the_lists_of_another(api: Api, store: Store) -> None:
    await give(api, f"{BARS}/import?controller=other", "number\n+4915112345678\n")
    token = await api.token(Role.DPO, controllers={"acme"})
    for path in (BARS, CONTACTS, CONSENTS):
        foreign = await give(api, f"{path}/import?controller=other", "number\n600100001\n", token=token)
        foreign.problem(HTTPStatus.UNPROCESSABLE_ENTITY)
        assert (await api.ask("GET", path, token=token)).json["items"] == []
    (await api.ask("GET", f"{BARS}/export?controller=other", token=token)).problem(
        HTTPStatus.UNPROCESSABLE_ENTITY
    )
    scrub = await give(api, f"{CONTACTS}/scrub?campaign=umfrage", "600100001\n", token=token)
    scrub.problem(HTTPStatus.UNPROCESSABLE_ENTITY)
    # it sees only one controller, and need not say which
    assert (await give(api, f"{BARS}/import", "600100001\n", token=token)).json["accepted"] == 1


async def test_a_list_that_breaks_off_is_taken_for_whole(api: Api, store: Store) -> None:
    sent = asyncio.Event()

    async def breaks_off() -> AsyncIterator[bytes]:
        yield b"number\n600100001\n"
        await sent.wait()
        raise ConnectionError

    headers = {**CSV, "authorization": f"Bearer {await api.of(Role.DPO)}"}
    url = f"{api.url}{BARS}/import?controller=acme"
    sending = asyncio.create_task(api.session.post(url, data=breaks_off(), headers=headers).__aenter__())
    sent.set()
    async with asyncio.timeout(SECONDS):
        with pytest.raises((aiohttp.ClientError, ConnectionError)):
            await sending
    # its turn is given back, and nothing of it was entered
    assert (await api.ask("GET", BARS)).json["items"] == []
    assert (await give(api, f"{BARS}/import?controller=acme", "600100002\n")).json["accepted"] == 1


async def assert_given_up(api: Api) -> None:
    """A list that stalls is refused, and nothing of it was entered."""
    never = asyncio.Event()

    async def stalls() -> AsyncIterator[bytes]:
        yield b"number\n600100001\n"
        await never.wait()

    headers = {**CSV, "authorization": f"Bearer {await api.of(Role.DPO)}"}
    url = f"{api.url}{BARS}/import?controller=acme"
    async with asyncio.timeout(SECONDS), api.session.post(url, data=stalls(), headers=headers) as answer:
        assert answer.status == HTTPStatus.REQUEST_TIMEOUT
    assert (await api.ask("GET", BARS)).json["items"] == []


async def test_a_list_is_held_whole_or_waited_for_without_end(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "PIECE_SECONDS", 0.05)
    await assert_given_up(api)


async def test_a_list_without_end_is_read_to_its_end(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ccari.web.lists.SCRUB_BYTES", 1000)
    told = await give(api, f"{CONTACTS}/scrub?campaign=renewals", "number\n" + "600100001\n" * 200)
    told.problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)


async def test_names_in_a_list_that_was_scrubbed_are_decoded_by_a_clients_default(api: Api) -> None:
    """Some take a text without a charset for ISO 8859-1."""
    left = await give(api, f"{CONTACTS}/scrub?campaign=renewals", "number,name\n600100002,Łucja\n")
    assert left.text == "number,name\n600100002,Łucja\n"
    assert left.headers["content-type"] == "text/csv; charset=utf-8"


async def test_a_client_is_not_told_that_a_list_may_mean_others(api: Api) -> None:
    """The same digits are a Polish mobile from which a spreadsheet took the plus, and a number in Germany."""
    rows = "+48600100011\n48600100011\n"
    told = (await give(api, f"{BARS}/import?controller=other", rows)).json
    assert (told["accepted"], told["doubtful"], told["first_doubtful"]) == (2, 1, 2)
    scrubbed = await give(
        api, f"{CONTACTS}/scrub?campaign=umfrage", "number,Gerät\n48600100011,+48 600 100 012\n"
    )
    report = json.loads(scrubbed.headers["ccari-report"])
    assert (report["doubtful"], report["first_doubtful"], report["unchecked"]) == (1, 2, ["gerät"])


async def test_a_number_that_is_barred_is_left_in_a_list_that_was_scrubbed(api: Api, store: Store) -> None:
    await give(api, f"{BARS}/import?controller=acme", "number,reason\n600100001,erasure\n")
    rows = "number,name\r\n600100001,A\r\n600100002,B\r\n12,C\r\n"
    left = await give(api, f"{CONTACTS}/scrub?campaign=renewals", rows, role=Role.OPS)
    assert left.text == "number,name\r\n600100002,B\r\n"
    assert left.headers["ccari-report"] == (
        '{"lines":3,"kept":1,"invalid":1,"doubtful":0,"first_doubtful":null,"left_out":{"suppressed_erasure":1},"unchecked":[]}'
    )
    assert await audit(store) == [("list_imported", "token:the-dpo"), ("list_scrubbed", "token:the-ops")]
    told = await give(
        api,
        f"{CONTACTS}/import?controller=acme&source=fair&obtained=2026-01-31&basis=contract",
        "number\n600100001\n",
    )
    assert told.json["barred"] == {"suppressed_erasure": 1}


@pytest.mark.parametrize(
    ("path", "into", "text"),
    [
        (f"{BARS}/import?controller=acme", "bars", "number,reason\n600100001,erasure\n12,erasure\n"),
        (
            f"{CONTACTS}/import?campaign=renewals&source=fair&obtained=2026-01-31&basis=contract",
            "contacts",
            "number\n600100001\n12\n",
        ),
        (
            f"{CONSENTS}/import?controller=acme",
            "consents",
            "number,purpose,channel,given,proof\n600100001,marketing,phone,2020-01-01,form\n12,,,,\n",
        ),
    ],
    ids=["bars", "contacts", "consents"],
)
async def test_a_list_that_is_not_taken_finds_out_who_is_barred_without_a_trace(
    api: Api, store: Store, path: str, into: str, text: str
) -> None:
    await store.suppressions.add("acme", made.digests(), Reason.ERASURE, "test", "")
    for query, status in (("", HTTPStatus.UNPROCESSABLE_ENTITY), ("&keep_going=true", HTTPStatus.OK)):
        assert (await give(api, path + query, text)).status == status
    listed = await store.accesses.list(10, WantedAccesses(looked=Looked.LIST_IMPORTED))
    assert [each["what"] for each in listed] == [{"controller": "acme", "in": into, "lines": "2"}] * 2
    assert {each["who"] for each in listed} == {"token:the-dpo"}
    await store.database.rows("DROP TABLE access_chain")
    untold = (await give(api, path, text)).problem(HTTPStatus.SERVICE_UNAVAILABLE)
    assert "report" not in untold


async def test_an_import_that_comes_again_is_done_twice_or_answered_otherwise(api: Api, store: Store) -> None:
    key = {"idempotency-key": "list-1"}
    first = await give(api, f"{BARS}/import?controller=acme", "600100001\n", headers=key)
    again = await give(api, f"{BARS}/import?controller=acme", "600100001\n", headers=key)
    assert (first.json["accepted"], again.text) == (1, first.text)
    other = await give(api, f"{BARS}/import?controller=acme&reason=erasure", "600100001\n", headers=key)
    other.problem(HTTPStatus.UNPROCESSABLE_ENTITY)


async def test_whoever_is_not_waited_for_until_a_list_is_entered_has_it_entered_again(
    api: Api, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy answers 504 and closes the connection while millions of lines are entered. The same key then gets the report."""
    load, finish, lose = store.suppressions.load, Connection.finish_response, Connection.connection_lost
    entered, gone, over = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def loading(_: Suppressions, *given: Any, **more: Any) -> Report:
        report = await load(*given, **more)
        entered.set()
        await gone.wait()
        return report

    async def finishing(connection: Connection, *given: Any) -> Any:
        over.set()
        return await finish(connection, *given)

    def losing(connection: Connection, error: BaseException | None) -> None:
        lose(connection, error)
        gone.set()

    text, at = f"number\n{NUMBER}\n", URL(api.url)
    head = f"POST {BARS}/import?controller=acme HTTP/1.1\r\nHost: {at.host}\r\nAuthorization: Bearer {await api.of(Role.DPO)}\r\n"
    list_of = (
        f"Content-Type: text/csv\r\nContent-Length: {len(text)}\r\nIdempotency-Key: list-1\r\n\r\n{text}"
    )
    with monkeypatch.context() as patched:
        patched.setattr(Suppressions, "load", loading)
        patched.setattr(Connection, "finish_response", finishing)
        patched.setattr(Connection, "connection_lost", losing)
        _, writer = await asyncio.open_connection(at.host, at.port)
        writer.write(f"{head}{list_of}".encode())
        async with asyncio.timeout(SECONDS):
            await entered.wait()
            writer.close()
            await over.wait()
    again = await give(api, f"{BARS}/import?controller=acme", text, headers={"idempotency-key": "list-1"})
    assert (again.status, again.json["accepted"]) == (HTTPStatus.OK, 1)


@pytest.mark.parametrize("chunked", [False, True])
async def test_another_list_of_the_same_length_is_answered_as_if_it_were_entered(
    api: Api, store: Store, *, chunked: bool
) -> None:
    headers = {**CSV, "authorization": f"Bearer {await api.of(Role.DPO)}", "idempotency-key": "list-1"}
    url = f"{api.url}{BARS}/import?controller=acme"

    async def pieces(number: int) -> AsyncIterator[bytes]:
        yield b"number\n6001000"
        yield b"%02d\n" % number

    async def send(number: int) -> tuple[int, str]:
        data = pieces(number) if chunked else b"number\n6001000%02d\n" % number
        async with api.session.post(url, data=data, headers=headers) as answer:
            return answer.status, await answer.text()

    status, first = await send(1)
    assert status == HTTPStatus.OK
    assert (await send(2))[0] == HTTPStatus.UNPROCESSABLE_ENTITY
    # in whatever pieces it is cut
    assert await send(1) == (HTTPStatus.OK, first)
    chunked = not chunked
    assert await send(1) == (HTTPStatus.OK, first)
    assert len((await api.ask("GET", BARS)).json["items"]) == 1


async def test_a_list_that_trickles_in_keeps_its_turn(
    api: Api, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No piece of it is late, but all of them together are."""
    monkeypatch.setattr(uploads, "PIECE_SECONDS", 3600)
    monkeypatch.setattr(pace, "GRACE_SECONDS", 0.05)
    await assert_given_up(api)


async def test_whoever_reads_a_file_too_slowly_keeps_its_turn(
    api: Api, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    await give(api, f"{BARS}/import?controller=acme&proof=list%207", "600100001\n")
    monkeypatch.setattr(downloads, "WRITE_SECONDS", 3600)
    monkeypatch.setattr(pace, "GRACE_SECONDS", 0.05)
    # otherwise what the kernel takes in would have earned it minutes
    monkeypatch.setattr(pace, "LEAST_BYTES_PER_SECOND", 10**12)
    export, cut = store.suppressions.export, asyncio.Event()

    async def endless(controller: str) -> AsyncIterator[list[dict[str, Any]]]:
        rows = [row async for rows in export(controller) for row in rows]
        try:
            while True:
                yield rows * 1000
        finally:
            cut.set()

    monkeypatch.setattr(type(store.suppressions), "export", lambda _, controller: endless(controller))
    headers = {"authorization": f"Bearer {await api.of(Role.DPO)}"}
    async with (
        asyncio.timeout(SECONDS),
        api.session.get(f"{api.url}{BARS}/export?controller=acme", headers=headers),
    ):
        await cut.wait()


@pytest.mark.parametrize("whole", [True, False])
async def test_part_of_a_file_passes_for_the_whole_over_http_1_0(
    api: Api, store: Store, monkeypatch: pytest.MonkeyPatch, *, whole: bool
) -> None:
    """As behind nginx without ``proxy_http_version 1.1``: the end of the connection is the end of the file."""
    await give(api, f"{BARS}/import?controller=acme&proof=list%207", "600100001\n")
    export, has_come = store.suppressions.export, asyncio.Event()

    async def breaks_off(controller: str) -> AsyncIterator[list[dict[str, Any]]]:
        async for rows in export(controller):
            # more than is sent in one piece
            yield rows * 10_000
            await has_come.wait()
        if not whole:
            raise StoreError("the database is away")

    monkeypatch.setattr(type(store.suppressions), "export", lambda _, controller: breaks_off(controller))
    at = URL(api.url)
    reader, writer = await asyncio.open_connection(at.host, at.port)
    writer.write(
        f"GET {BARS}/export?controller=acme HTTP/1.0\r\nAuthorization: Bearer {await api.of(Role.DPO)}\r\n\r\n".encode()
    )
    with contextlib.closing(writer):
        async with asyncio.timeout(SECONDS):
            assert b"200 OK" in await reader.readline()
            has_come.set()
            with contextlib.nullcontext() if whole else pytest.raises(ConnectionResetError):
                await reader.read()


async def test_lists_that_come_in_keep_files_from_going_out(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with asyncio.timeout(SECONDS), lists_coming_in(api, monkeypatch):
        assert (await api.ask("GET", f"{BARS}/export?controller=acme")).status == HTTPStatus.OK


async def test_a_link_that_stalls_for_a_moment_is_cut_off_though_it_is_fast(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pace, "GRACE_SECONDS", 0.0)
    moving = pace.Pace()
    with pytest.raises(TimeoutError):
        async with moving.waiting(SECONDS):
            await asyncio.Event().wait()
    moving.moved(pace.LEAST_BYTES_PER_SECOND * 60)
    async with moving.waiting(SECONDS):
        await asyncio.sleep(0)


async def test_what_stands_in_the_url_is_said_to_stand_in_a_body(api: Api) -> None:
    wrong = await give(api, f"{BARS}/import?controller=nobody", "600100001\n")
    [fault] = wrong.problem(HTTPStatus.UNPROCESSABLE_ENTITY)["errors"]
    assert (fault.get("parameter"), fault.get("pointer")) == ("controller", None)


async def test_a_consent_or_a_contact_is_another_than_was_given(api: Api, store: Store) -> None:
    await give(
        api,
        f"{CONSENTS}/import?controller=acme",
        f"number,purpose,channel,given,proof\n{NUMBER},marketing,phone,2020-01-01,form 1\n",
    )
    await give(
        api,
        f"{CONTACTS}/import?controller=acme",
        f"number,source,obtained,basis,proof\n{NUMBER},fair,2026-01-31,contract,form 2\n",
    )
    asked = {"number": NUMBER, "controller": "acme", "why": "a complaint"}
    told = (await api.ask("POST", f"{CONSENTS}/check", asked)).json["consents"]
    assert [(each["purpose"], each["state"], each["proof"], each["uses"]) for each in told] == [
        ("marketing", "given", "form 1", [])
    ]
    known = (await api.ask("POST", f"{CONTACTS}/check", asked)).json
    assert (known["known"], [each["source"] for each in known["sources"]]) == (True, ["fair"])
    assert (await audit(store))[2:] == [("number_checked", "token:the-dpo")] * 2
    withdrawal = {"number": NUMBER, "controller": "acme", "proof": "letter"}
    done = await api.ask("POST", f"{CONSENTS}/withdraw", withdrawal)
    assert (done.json["consents_withdrawn"], done.json["number"]) == (1, "+48•••••0001")
    told = (await api.ask("POST", f"{CONSENTS}/check", asked)).json["consents"]
    assert [each["state"] for each in told] == ["withdrawn"]
    assert [each["reason"] for each in (await api.ask("GET", BARS)).json["items"]] == ["withdraw_consent"]
    nothing = await api.ask("POST", f"{CONSENTS}/withdraw", {**withdrawal, "purpose": "nothing"})
    nothing.problem(HTTPStatus.CONFLICT)


@pytest.mark.parametrize("path", [CONTACTS, CONSENTS])
async def test_a_page_of_a_list_leaves_out_or_repeats_a_row(api: Api, store: Store, path: str) -> None:
    numbers = [each.e164 for each in made.numbers(9)]
    header, cells = {
        CONTACTS: ("number,source,obtained,basis", "fair,2026-01-31,contract"),
        CONSENTS: ("number,purpose,channel,given,proof", "marketing,phone,2020-01-01,form"),
    }[path]
    for controller in ("acme", "other"):
        text = "\n".join([header, *(f"{each},{cells}" for each in numbers)])
        assert (await give(api, f"{path}/import?controller={controller}", text)).json["accepted"] == 9
    found: list[str] = []
    after = ""
    while after is not None:
        page = (await api.ask("GET", f"{path}?limit=4{after and f'&after={after}'}", role=Role.AUDITOR)).json
        found += [each["digest"] for each in page["items"]]
        after = page["next"]
    assert len(found) == len(set(found)) == 18
    assert len((await api.ask("GET", f"{path}?controller=other")).json["items"]) == 9
    (await api.ask("GET", f"{path}?after=WyJ4Il0")).problem(HTTPStatus.UNPROCESSABLE_ENTITY)


async def test_a_long_source_ends_the_list_of_contacts_or_stands_in_the_url(api: Api) -> None:
    sources = [f"{NUMBER} {'😀' * (200 - len(NUMBER) - 2)}{each}" for each in "abc"]
    numbers = [each.e164 for each in made.numbers(3)]
    lines = [f"{number},{source},2026-01-31,contract" for number in numbers for source in sources]
    for controller in ("acme", "other"):
        text = "\n".join(["number,source,obtained,basis", *lines])
        assert (await give(api, f"{CONTACTS}/import?controller={controller}", text)).json["accepted"] == 9
    one = f"&source={quote(sources[1])}"
    for limit, narrowed, rows in ((1, "", 18), (2, "", 18), (4, "", 18), (1, one, 6)):
        found: list[tuple[str, str, str]] = []
        after = ""
        while after is not None:
            path = f"{CONTACTS}?limit={limit}{narrowed}{after and f'&after={after}'}"
            page = (await api.ask("GET", path)).json
            found += [(each["controller"], each["digest"], each["source"]) for each in page["items"]]
            after = page["next"]
            assert after is None or NUMBER.encode() not in base64.urlsafe_b64decode(f"{after}==")
        assert len(found) == len(set(found)) == rows, (limit, narrowed)


async def test_an_export_that_fails_in_the_middle_ends_as_if_it_were_whole(
    api: Api, store: Store, front: Front, monkeypatch: pytest.MonkeyPatch
) -> None:
    await give(api, f"{BARS}/import?controller=acme", "600100001\n")
    export = store.suppressions.export

    async def broken(controller: str) -> AsyncIterator[list[dict[str, Any]]]:
        async for rows in export(controller):
            yield rows
        raise RuntimeError

    monkeypatch.setattr(type(store.suppressions), "export", lambda _, controller: broken(controller))
    with pytest.raises(aiohttp.ClientError):
        await api.ask("GET", f"{BARS}/export?controller=acme")


async def test_the_register_that_is_given_out_is_anothers_or_shows_a_number(api: Api, store: Store) -> None:
    for controller in ("acme", "other"):
        claim = {"right": "access", "number": NUMBER, "controller": controller}
        assert (await api.ask("POST", "/v1/requests", claim)).status == HTTPStatus.CREATED
    token = await api.token(Role.AUDITOR, name="authority", controllers={"acme"})
    mine = await api.ask("GET", "/v1/requests/export.json", token=token)
    assert [(each["controller"], each["number"], len(each["history"])) for each in mine.json] == [
        ("acme", "+48•••••0001", 1)
    ]
    for more in ("?controller=other", "?since=yesterday"):
        (await api.ask("GET", f"/v1/requests/export.csv{more}", token=token)).problem(
            HTTPStatus.UNPROCESSABLE_ENTITY
        )
    everything = await api.ask("GET", "/v1/requests/export.csv?since=2026-01-01T00:00:00Z")
    assert len(everything.text.splitlines()) == 3
    assert NUMBER[3:] not in everything.text
    assert (await api.ask("GET", "/v1/requests/export.json?since=2999-01-01T00:00:00Z")).json == []
    assert await audit(store) == [
        ("requests_exported", "token:authority"), *[("requests_exported", "token:the-dpo")] * 2,
    ]  # fmt: skip
