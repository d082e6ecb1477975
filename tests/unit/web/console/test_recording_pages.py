"""Recordings in the console: heard by those who may, only with the key, on record before they are, and never kept open."""

import asyncio
import base64
import contextlib
import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from html import unescape
from http import HTTPStatus
from pathlib import Path

import aiohttp
import pyrage
import pytest
import pytest_asyncio

from ccari.ports.access import Role
from ccari.ports.accesses import Looked, WantedAccesses
from ccari.ports.listening import Opened
from ccari.ports.recordings import InPlace
from ccari.recordings.listening import Listener
from ccari.store.opened import Store
from ccari.web import downloads, pace
from ccari.web.console import forms, recordings
from ccari.web.console.rendering import ASSETS
from ccari.web.console.words import CATALOGUES
from ccari.web.endpoint import LONG_AT_ONCE_OF_ONE
from tests.faults.files import with_a_bit_changed
from tests.unit.store.test_listening_commands import played, put
from tests.unit.web.api import NUMBER, Api
from tests.unit.web.console.browsing import Seen, Visitor, browser, signed_in

HOME = "/console/recordings"
SECONDS = 30.0


@pytest.fixture
def key(tmp_path: Path) -> Path:
    made = tmp_path / "age.key"
    made.touch(mode=0o600)
    made.write_text(f"# mine\n{pyrage.x25519.Identity.generate()}\n")
    return made


@pytest.fixture
def identity(key: Path) -> str:
    return key.read_text()


def files(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest_asyncio.fixture
async def recording(api: Api, store: Store, tmp_path: Path, key: Path) -> InPlace:
    return await put(store, tmp_path / "recordings", key)


@pytest.fixture
def page(recording: InPlace) -> str:
    return f"{HOME}/{recording.tag.recording_id}"


async def listened(visitor: Visitor, page: str, file: bytes = b"", **fields: str) -> Seen:
    action = f"{page}/play"
    form = aiohttp.FormData()
    filled: Mapping[str, str] = {"why": "complaint 7", "identity": "", **fields}
    secret = (await visitor.get(HOME)).form("/console/sign-out").fields["csrf"]
    for name, value in {"csrf": secret, **filled}.items():
        form.add_field(name, value)
    form.add_field("file", file, filename="recordings.identity", content_type="application/octet-stream")
    async with visitor.session.post(visitor.url + action, data=form) as answer:
        return Seen(answer.status, answer.url.path, await answer.text(), answer.headers)


def sound_of(seen: Seen) -> bytes:
    _, _, rest = seen.text.partition('src="data:audio/flac;base64,')
    return base64.b64decode(rest.partition('"')[0])


async def test_who_has_the_key_cannot_listen_or_nobody_knows_that_they_did(
    officer: Visitor, store: Store, tmp_path: Path, recording: InPlace, page: str, identity: str
) -> None:
    before = files(tmp_path)
    for seen in (
        await listened(officer, page, identity.encode()),
        await listened(officer, page, identity=identity.splitlines()[1]),
    ):
        assert seen.status == HTTPStatus.OK
        assert sound_of(seen)[:4] == b"fLaC"
        assert 'class="wave"' in seen.text
        assert "Times: Europe/Warsaw" in seen.words
        assert seen.headers["cache-control"] == "no-store"
        assert "AGE-SECRET-KEY-1" not in seen.text.replace("AGE-SECRET-KEY-1…", "")
    looks = await store.accesses.list(5, WantedAccesses(looked=Looked.RECORDING_PLAYED))
    assert [(each["why"], each["what"]["recording"]) for each in looks] == [
        ("complaint 7", str(recording.tag.recording_id))
    ] * 2
    assert len(await played(store, recording)) == 2
    assert before == files(tmp_path)
    assert "recording listened to" in (await officer.get(f"/console/calls/{recording.tag.call_id}")).words


async def test_a_tag_is_shown_as_python_writes_it(officer: Visitor, page: str) -> None:
    shown = (await officer.get(page)).words
    assert "silent no" in shown
    assert re.search(r"recipients age1\w+", shown)


async def test_a_recording_is_heard_without_its_key_a_reason_or_a_record(
    officer: Visitor, store: Store, tmp_path: Path, recording: InPlace, page: str, identity: str
) -> None:
    other = str(pyrage.x25519.Identity.generate())
    for fields in (
        {},
        {"identity": "AGE-SECRET-KEY-1X"},
        {"identity": other},
        {"why": " ", "identity": identity},
        {"why": "complaint\x007", "identity": identity},
        {"why": "complaint\n7", "identity": identity},
    ):
        seen = await listened(officer, page, b"", **fields)
        assert seen.status == HTTPStatus.UNPROCESSABLE_ENTITY, fields
        assert "data:audio" not in seen.text
        assert other not in seen.text
    forged = await listened(officer, page, identity.encode(), csrf="x")
    assert (forged.status, "data:audio" in forged.text) == (HTTPStatus.FORBIDDEN, False)
    file = tmp_path / "recordings" / recording.kept.file
    file.write_bytes(with_a_bit_changed(file.read_bytes()))
    damaged = await listened(officer, page, identity.encode())
    assert damaged.status == HTTPStatus.UNPROCESSABLE_ENTITY
    assert await played(store, recording) == []
    assert await store.accesses.list(5, WantedAccesses(looked=Looked.RECORDING_PLAYED)) == []


async def test_why_somebody_listens_or_releases_is_to_be_written_again_after_a_slip(
    officer: Visitor, page: str
) -> None:
    again = await listened(officer, page, identity="AGE-SECRET-KEY-1X")
    assert again.form(f"{page}/play").fields["why"] == "complaint 7"
    await officer.send(page, f"{page}/hold", reason="case 7")
    release = next(
        each.action for each in (await officer.get(HOME)).forms if each.action.endswith("/release")
    )
    long = "settled " * 300
    again = await officer.send(HOME, release, reason=long)
    assert again.status == HTTPStatus.UNPROCESSABLE_ENTITY
    assert again.form(release).fields["reason"] == long


async def test_another_role_or_controller_listens_or_holds(
    api: Api, visitor: Visitor, store: Store, recording: InPlace, page: str, identity: str
) -> None:
    await signed_in(api, visitor, Role.AUDITOR)
    seen = await visitor.get(page)
    assert f"{page}/play" not in seen.text
    assert (await listened(visitor, page, identity.encode())).status == HTTPStatus.FORBIDDEN
    secret = seen.form("/console/sign-out").fields
    assert (
        await visitor.ask("POST", f"{page}/hold", {**secret, "once": "1", "reason": "x"})
    ).status == HTTPStatus.FORBIDDEN
    await visitor.send(HOME, "/console/sign-out")
    await signed_in(api, visitor, Role.DPO, "other")
    assert str(recording.tag.recording_id) not in (await visitor.get(HOME)).text
    assert (await visitor.get(page)).status == HTTPStatus.NOT_FOUND
    secret = (await visitor.get(HOME)).form("/console/sign-out").fields
    assert (
        await visitor.ask("POST", f"{page}/hold", {**secret, "once": "1", "reason": "x"})
    ).status == HTTPStatus.NOT_FOUND
    heard = await listened(visitor, page, identity.encode())
    assert (heard.status, "data:audio" in heard.text) == (HTTPStatus.NOT_FOUND, False)
    assert await played(store, recording) == []


async def test_a_hold_is_not_placed_shown_or_released(officer: Visitor, page: str) -> None:
    held = await officer.send(page, f"{page}/hold", reason="lawsuit <b>7</b>")
    assert "Hold 1 is in force" in held.words
    assert "<b>7</b>" not in held.text
    home = await officer.get(HOME)
    assert "lawsuit" in home.words
    assert NUMBER not in home.text
    unsaid = await officer.send(HOME, "/console/holds/1/release", reason="")
    assert unsaid.status == HTTPStatus.UNPROCESSABLE_ENTITY
    released = await officer.send(HOME, "/console/holds/1/release", reason="settled")
    assert "Hold 1 is released" in released.words
    assert "Nothing is held for claims" in released.words
    assert "no such recordings" in (await officer.get(f"{HOME}?state=deleted&campaign=")).words


async def test_whoever_releases_a_hold_after_a_colleague_is_told_that_there_is_nothing(
    officer: Visitor, store: Store, page: str
) -> None:
    await officer.send(page, f"{page}/hold", reason="lawsuit 7")
    action = "/console/holds/1/release"
    form = {**(await officer.get(HOME)).form(action).fields, "reason": "settled"}
    await store.holds.release(1, "lost", "token:colleague")
    late = await officer.ask("POST", action, form)
    assert (late.status, late.url) == (HTTPStatus.CONFLICT, action)
    assert "hold 1 has been released meanwhile" in late.words
    assert "Nothing is held for claims" in late.words
    assert CATALOGUES["pl"].said_of("hold 1 has been released meanwhile") == "zabezpieczenie 1 już zwolniono"
    none = {**form, "once": "another"}
    assert (await officer.ask("POST", "/console/holds/2/release", none)).status == HTTPStatus.NOT_FOUND


async def test_a_double_click_places_two_holds(officer: Visitor, page: str) -> None:
    form = {**(await officer.get(page)).form(f"{page}/hold").fields, "reason": "lawsuit 7"}
    twice = await asyncio.gather(*(officer.ask("POST", f"{page}/hold", form, follow=False) for _ in range(2)))
    assert [(each.status, each.headers["location"]) for each in twice] == [(303, page)] * 2
    action = "/console/holds/1/release"
    form = {**(await officer.get(HOME)).form(action).fields, "reason": "settled"}
    for _ in range(2):
        assert "Hold 1 is released" in (await officer.ask("POST", action, form)).words
    assert "Nothing is held for claims" in (await officer.get(HOME)).words


async def test_one_click_saves_the_sound_or_the_key(officer: Visitor, page: str, identity: str) -> None:
    seen = await listened(officer, page, identity.encode())
    (audio,) = re.findall(r"<audio[^>]*?preload", seen.text)
    assert 'controlslist="nodownload noremoteplayback"' in audio
    assert "disableremoteplayback" in audio
    # browsers offer to keep, and to fill in, what is typed into a password field: no such field here accepts anything
    assert set(re.findall(r'<input[^>]*type="password"[^>]*>', seen.text)) == {
        '<input type="password" value="-" disabled hidden>'
    }
    assert 'class="veiled"' in seen.text
    assert b"-webkit-text-security: disc" in ASSETS["console.css"].body


async def test_a_key_that_never_arrives_holds_a_place_for_ever(
    officer: Visitor, page: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = (await officer.get(HOME)).form("/console/sign-out").fields["csrf"]
    monkeypatch.setattr(forms, "BODY_SECONDS", 0.2)
    parts = (
        f'--x\r\ncontent-disposition: form-data; name="csrf"\r\n\r\n{secret}\r\n'
        '--x\r\ncontent-disposition: form-data; name="file"; filename="key"\r\n\r\n'
    )
    answered = asyncio.Event()

    async def dripping() -> AsyncIterator[bytes]:
        # so much that the field before it is read to its end
        yield parts.encode() + b"#" * 10_000
        await answered.wait()

    kind = {"content-type": "multipart/form-data; boundary=x"}
    async with (
        asyncio.timeout(SECONDS),
        officer.session.post(f"{officer.url}{page}/play", data=dripping(), headers=kind) as answer,
    ):
        assert answer.status == HTTPStatus.REQUEST_TIMEOUT
        answered.set()


async def test_who_takes_recordings_too_slowly_keeps_files_from_going_out(
    api: Api, officer: Visitor, page: str, identity: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each piece of a long page may take half a minute."""
    monkeypatch.setattr(downloads, "WRITE_SECONDS", 3600)
    monkeypatch.setattr(pace, "GRACE_SECONDS", 0.05)
    # otherwise what the kernel takes in would have earned them minutes
    monkeypatch.setattr(pace, "LEAST_BYTES_PER_SECOND", 10**12)
    opening = Listener.open

    async def hours(listener: Listener, found: InPlace, given: str) -> Opened:
        return replace(await opening(listener, found, given), audio=bytes(64 << 20))

    monkeypatch.setattr(Listener, "open", hours)
    form = {"why": "complaint 7", "identity": identity}
    action = f"{officer.url}{page}/play"
    async with asyncio.timeout(SECONDS), contextlib.AsyncExitStack() as unread:
        other = await signed_in(api, Visitor(api.url, await unread.enter_async_context(browser())), Role.DPO)
        for each in [*[officer] * LONG_AT_ONCE_OF_ONE, other]:
            secret = (await each.get(HOME)).form("/console/sign-out").fields["csrf"]
            parts = aiohttp.FormData({**form, "csrf": secret}, default_to_multipart=True)
            await unread.enter_async_context(each.session.post(action, data=parts))
        exported = await api.ask("GET", "/v1/suppressions/export?controller=acme")
        assert exported.status == HTTPStatus.OK


async def test_a_hold_beyond_the_first_page_cannot_be_released(
    officer: Visitor, page: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recordings, "PAGE_ROWS", 1)
    for _ in range(2):
        await officer.send(page, f"{page}/hold", reason="lawsuit 7")
    seen, releases = await officer.get(HOME), set[str]()
    for _ in range(2):
        releases |= {each.action for each in seen.forms if each.action.endswith("/release")}
        _, _, after = seen.text.partition('rel="next" href="')
        seen = await officer.get(unescape(after.partition('"')[0]) or HOME)
    assert releases == {"/console/holds/1/release", "/console/holds/2/release"}
    # if a form made the page, its list continues from the register
    failed = await officer.send(HOME, "/console/holds/2/release", reason="")
    assert failed.status == HTTPStatus.UNPROCESSABLE_ENTITY
    assert 'rel="next" href="/console/recordings?' in failed.text


async def test_a_recording_that_is_held_is_said_to_be_kept_until_a_day_that_is_over(
    officer: Visitor, store: Store, page: str
) -> None:
    kept = "for as long as it is held"
    await store.database.rows(
        "UPDATE recordings SET tagged_at = started_at, delete_at = now() + interval '1 day' RETURNING 1"
    )
    await officer.send(page, f"{page}/hold", reason="lawsuit 7")
    for seen in (await officer.get(page), await officer.get(HOME)):
        assert kept not in seen.words
    await store.database.rows("UPDATE recordings SET delete_at = now() - interval '1 day' RETURNING 1")
    for seen in (await officer.get(page), await officer.get(HOME)):
        assert kept in seen.words


async def test_who_listens_to_what_is_restricted_is_not_told_that_it_may_only_be_stored(
    officer: Visitor, page: str
) -> None:
    """Art 18(2). Next to it stands that it is held, and why; recital 67 wants restricted data to be recognisable."""
    only_stored = "it may only be stored: listen only with"
    assert only_stored not in (await officer.get(page)).words
    await officer.send(page, f"{page}/hold", reason="lawsuit 7")
    assert only_stored in (await officer.get(page)).words
