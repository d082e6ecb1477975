"""A list of bars from a form with a file: all of it or nothing, reported line by line, without a number coming back."""

import asyncio
from html import unescape
from http import HTTPStatus
from uuid import uuid4

import aiohttp
import pytest

from ccari.ports.access import Role
from ccari.ports.accesses import Looked, WantedAccesses
from ccari.store.opened import Store
from tests.unit.web.api import Api
from tests.unit.web.coming_in import lists_coming_in
from tests.unit.web.console.browsing import Seen, Visitor, signed_in

IMPORT = "/console/suppressions/import"
SECONDS = 30.0
GOOD = "number;reason\n+48600100001;erasure\n600 100 002;do_not_call\n"
BAD = GOOD + "12;erasure\n+48600100003;because\n"


async def sent(visitor: Visitor, text: str | None, **fields: str) -> Seen:
    """As a browser sends a form with a file: the fields in their order, the file last."""
    form = aiohttp.FormData()
    for name, value in {"csrf": (await visitor.get(IMPORT)).form(IMPORT).fields["csrf"], **fields}.items():
        form.add_field(name, value)
    form.add_field(
        "file", (text or "").encode(), filename="list.csv" if text else "", content_type="text/csv"
    )
    async with visitor.session.post(visitor.url + IMPORT, data=form) as answer:
        return Seen(answer.status, answer.url.path, await answer.text(), answer.headers)


async def test_a_list_is_not_taken_or_its_report_is_wrong(api: Api, visitor: Visitor, store: Store) -> None:
    await signed_in(api, visitor, Role.OPS)
    refused = await sent(visitor, BAD, controller="acme")
    assert "Nothing was changed" in refused.words
    assert "Invalid 2" in refused.words
    assert "60010000" not in refused.text
    assert await store.suppressions.page(None, 10, None) == []
    taken = await sent(visitor, BAD, controller="acme", keep_going="true")
    assert "The list has been imported" in taken.words
    assert "Lines 4 Newly barred 2 Already known 0 Invalid 2" in taken.words
    again = await sent(visitor, GOOD, controller="acme")
    assert "Newly barred 0 Already known 2" in again.words
    rows = await store.suppressions.page(None, 10, None)
    assert {row["reason"] for row in rows} == {"erasure", "do_not_call"}
    noted = await store.accesses.list(10, WantedAccesses(looked=Looked.LIST_IMPORTED))
    assert [each["what"]["lines"] for each in noted] == ["2", "4", "4"]


async def test_a_list_that_may_bar_somebody_else_is_taken_without_a_word(api: Api, visitor: Visitor) -> None:
    await signed_in(api, visitor, Role.OPS)
    seen = await sent(visitor, "+48600100011\n48600100011\n", controller="other")
    assert "may have been read as somebody else's: 1, the first in line 2." in unescape(seen.words)
    assert "been read as" not in (await sent(visitor, "+48600100011\n", controller="other")).words


async def test_a_list_is_taken_without_a_file_a_secret_or_a_controller(
    api: Api, visitor: Visitor, store: Store
) -> None:
    await signed_in(api, visitor, Role.OPS, "acme")
    assert (await sent(visitor, None)).status == HTTPStatus.UNPROCESSABLE_ENTITY
    assert (await sent(visitor, GOOD, csrf="guessed")).status == HTTPStatus.FORBIDDEN
    foreign = await sent(visitor, GOOD, controller="other")
    assert foreign.status == HTTPStatus.UNPROCESSABLE_ENTITY
    assert "Controller:" in foreign.words
    long = await sent(visitor, GOOD, controller="acme", proof="x" * 9000)
    assert long.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    plain = await visitor.ask("POST", IMPORT, {"csrf": "x"})
    assert plain.status == HTTPStatus.UNSUPPORTED_MEDIA_TYPE
    assert await store.suppressions.page(None, 10, None) == []
    assert "The list has been imported" in (await sent(visitor, "600 100 001\n")).words


async def test_a_list_that_cannot_be_read_is_refused_without_a_word(
    api: Api, visitor: Visitor, store: Store
) -> None:
    await signed_in(api, visitor, Role.OPS)
    for header, words in ("numer;reason", "line 1:"), ("number;raeson", "'raeson' is not a known column"):
        seen = await sent(visitor, f"{header}\n+48600100001;erasure\n", controller="acme")
        assert seen.status == HTTPStatus.UNPROCESSABLE_ENTITY
        assert words in unescape(seen.words)
        assert seen.form(IMPORT).action == IMPORT
    assert await store.suppressions.page(None, 10, None) == []


async def test_evidence_an_export_or_listening_waits_for_lists_that_come_in(
    api: Api, officer: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    csrf = (await officer.get(IMPORT)).form(IMPORT).fields["csrf"]
    async with asyncio.timeout(SECONDS), lists_coming_in(api, monkeypatch):
        monkeypatch.setattr("ccari.web.turns.TURN_SECONDS", 0.1)
        # nothing of that name exists: whoever is told so has had a turn
        person, call, recording = "/console/requests/ACME-2026-000001", uuid4(), uuid4()
        for path in (f"{person}/evidence", f"/console/calls/{call}/evidence"):
            assert (await officer.get(path)).status == HTTPStatus.NOT_FOUND
        given = await officer.ask("POST", f"{person}/subject/export", {"csrf": csrf})
        assert given.status == HTTPStatus.NOT_FOUND
        form = aiohttp.FormData({"csrf": csrf, "why": "complaint 7"}, default_to_multipart=True)
        play = f"{officer.url}/console/recordings/{recording}/play"
        async with officer.session.post(play, data=form) as heard:
            assert heard.status == HTTPStatus.NOT_FOUND
        assert (await sent(officer, GOOD, controller="acme")).status == HTTPStatus.SERVICE_UNAVAILABLE
