"""A spool that is on another host, behind an Asterisk that answers well, badly, or not at all."""

import asyncio
import stat
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from uuid import UUID, uuid4

import pytest
import pytest_asyncio
from aiohttp import encode_basic_auth, web
from aiohttp.test_utils import TestServer

from ccari.config import password_in
from ccari.errors import RecordingDelayed, RecordingError
from ccari.ports.recordings import agents_side
from ccari.recordings import remote
from ccari.recordings.remote import RemoteSpool, open_remote_spool
from tests.unit.recordings.made import SECOND, TAG, cut_short, files, record

NAME = str(TAG.recording_id)
Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Asterisk:
    """The stored recordings of ARI, as resource_recordings.c gives them out. ``answer`` is what it does instead, if
    anything.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.answer: Answer | None = None
        self.asked: list[tuple[str, str]] = []

        @web.middleware
        async def instead(request: web.Request, handler: Answer) -> web.StreamResponse:
            return await self._instead(request, handler)

        self.app = web.Application(middlewares=[instead])
        self.app.router.add_get("/ari/recordings/stored", self._list)
        self.app.router.add_get("/ari/recordings/stored/{name}/file", self._file)
        self.app.router.add_delete("/ari/recordings/stored/{name}", self._delete)
        self.app.router.add_route("*", "/else", self._list)

    async def _instead(self, request: web.Request, handler: Answer) -> web.StreamResponse:
        self.asked.append((request.method, request.path_qs))
        if request.headers.get("Authorization") != encode_basic_auth("ccari", "secret"):
            return web.json_response({"message": "Authentication required"}, status=401)
        return await (self.answer or handler)(request)

    async def _list(self, _: web.Request) -> web.StreamResponse:
        return web.json_response(
            [{"name": path.stem, "format": path.suffix[1:]} for path in self.folder.iterdir()]
        )

    async def _file(self, request: web.Request) -> web.StreamResponse:
        path = self._path(request)
        if not path.exists():
            return web.json_response({"message": "Recording not found"}, status=404)
        return web.Response(body=path.read_bytes(), content_type="audio/wav")

    async def _delete(self, request: web.Request) -> web.StreamResponse:
        path = self._path(request)
        if not path.exists():
            return web.json_response({"message": "Recording not found"}, status=404)
        path.unlink()
        return web.Response(status=204)

    def _path(self, request: web.Request) -> Path:
        return self.folder / f"{request.match_info['name']}.wav"


@pytest_asyncio.fixture
async def asterisk(spool: Path) -> AsyncIterator[tuple[Asterisk, str]]:
    made = Asterisk(spool)
    async with TestServer(made.app) as server:
        yield made, str(server.make_url("/"))


@pytest.fixture
def incoming(tmp_path: Path) -> Path:
    return tmp_path / "data" / "incoming"


@pytest_asyncio.fixture
async def far(asterisk: tuple[Asterisk, str], incoming: Path) -> AsyncIterator[RemoteSpool]:
    async with open_remote_spool(asterisk[1], "ccari", lambda: "secret", incoming) as opened:
        yield opened


async def test_a_recording_is_changed_on_its_way_or_lies_open_to_others(
    far: RemoteSpool, spool: Path, incoming: Path
) -> None:
    content = record(spool / f"{NAME}.wav", 30 * SECOND).read_bytes()
    path = await far.take(TAG.recording_id)
    assert path.read_bytes() == content
    assert files(incoming) == [f"{NAME}.wav"]
    assert [stat.S_IMODE(each.stat().st_mode) for each in (path, incoming)] == [0o600, 0o700]


async def test_a_file_that_asterisk_has_not_closed_yet_is_taken_without_its_end(
    far: RemoteSpool, asterisk: tuple[Asterisk, str], spool: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ccari.recordings.raw.CLOSE_SECONDS", 60.0)
    path = cut_short(spool / f"{NAME}.wav")
    taking = asyncio.create_task(far.take(TAG.recording_id))
    async with asyncio.timeout(10):
        while len(asterisk[0].asked) < 2:  # noqa: ASYNC110 - once more than was needed
            await asyncio.sleep(0.01)
    content = record(path, 3 * SECOND).read_bytes()
    assert (await taking).read_bytes() == content


async def _cut_off(request: web.Request) -> web.StreamResponse:
    reply = web.StreamResponse(headers={"Content-Length": "16044"})
    await reply.prepare(request)
    await reply.write(b"RIFF" + bytes(8000))
    assert request.transport is not None
    request.transport.close()
    return reply


async def _without_length(request: web.Request) -> web.StreamResponse:
    """And without an end: it would fill the disk until the time for a whole file is over."""
    reply = web.StreamResponse()
    reply.force_close()
    await reply.prepare(request)
    await reply.write(b"RIFF")
    while True:
        await reply.write(bytes(8000))


async def _for_ever(_: web.Request) -> web.StreamResponse:
    await asyncio.Event().wait()
    raise AssertionError


async def _stops(request: web.Request) -> web.StreamResponse:
    reply = web.StreamResponse(headers={"Content-Length": "16044"})
    await reply.prepare(request)
    await reply.write(b"RIFF" + bytes(8000))
    return await _for_ever(request)


async def _page(_: web.Request) -> web.StreamResponse:
    """A proxy in front of Asterisk may answer like this, when it lets nobody through for a while."""
    return web.Response(text="<!doctype html><title>Back soon</title>" + "<p>We are working on it." * 9)


def _status(status: int) -> Answer:
    async def answer(_: web.Request) -> web.StreamResponse:
        return web.json_response({"message": "no"}, status=status)

    return answer


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        pytest.param(_cut_off, "cannot be asked for its recordings", id="cut-off"),
        pytest.param(_without_length, "does not say how long", id="no-length"),
        pytest.param(_page, "is no recording: check", id="page"),
        pytest.param(_for_ever, "did not answer in time", id="silent"),
        pytest.param(_stops, "did not answer in time", id="stops"),
        pytest.param(_status(500), "it answered 500", id="fails"),
        pytest.param(_status(403), r"check \[asterisk\] username and password", id="forbidden"),
    ],
)  # fmt: skip
async def test_half_a_recording_is_taken_for_the_whole_or_given_up(
    far: RemoteSpool, asterisk: tuple[Asterisk, str], spool: Path, incoming: Path, answer: Answer, words: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    record(spool / f"{NAME}.wav")
    asterisk[0].answer = answer
    with monkeypatch.context() as patch:
        patch.setattr(remote, "ANSWER_SECONDS", 1.0)
        patch.setattr(remote, "FETCH_SECONDS", 2.0)
        with pytest.raises(RecordingDelayed, match=words):
            await far.take(TAG.recording_id)
    assert not files(incoming)
    asterisk[0].answer = None
    assert (await far.take(TAG.recording_id)).stat().st_size == 16044


async def test_a_recording_that_asterisk_does_not_have_is_waited_for(far: RemoteSpool) -> None:
    with pytest.raises(RecordingError, match="Asterisk has no file") as raised:
        await far.take(TAG.recording_id)
    assert not isinstance(raised.value, RecordingDelayed)


async def test_an_asterisk_that_starts_loses_recordings_or_passes_for_one_that_has_removed_them(
    far: RemoteSpool, asterisk: tuple[Asterisk, str], spool: Path
) -> None:
    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(
            status=404, content_type="text/html", text="<html><title>404 Not Found</title></html>"
        )

    record(spool / f"{NAME}.wav")
    path = await far.take(TAG.recording_id)
    asterisk[0].answer = answer
    for taking in (far.take(TAG.recording_id), far.take_agents(TAG.recording_id)):
        with pytest.raises(RecordingDelayed, match="it answered 404"):
            await taking
    with pytest.raises(RecordingError, match="could not be removed: Asterisk answered 404"):
        await far.remove(TAG.recording_id)
    assert path.exists()


async def test_an_asterisk_that_is_away_loses_recordings_or_ends_in_a_traceback(
    asterisk: tuple[Asterisk, str], incoming: Path
) -> None:
    async with open_remote_spool("http://127.0.0.1:1", "ccari", lambda: "secret", incoming) as away:
        for asking in (away.take(TAG.recording_id), away.recording_ids()):
            with pytest.raises(
                RecordingDelayed, match="cannot be asked for its recordings: Connection refused"
            ):
                await asking
        with pytest.raises(RecordingError, match="Connection refused"):
            await away.remove(TAG.recording_id)


async def test_a_wrong_password_is_told_or_no_advice_given(
    asterisk: tuple[Asterisk, str], incoming: Path
) -> None:
    async with open_remote_spool(asterisk[1], "ccari", lambda: "hunter2", incoming) as refused:
        with pytest.raises(RecordingDelayed, match=r"check \[asterisk\] username and password") as raised:
            await refused.recording_ids()
        assert "hunter2" not in str(raised.value)
    assert not [path for _, path in asterisk[0].asked if "hunter2" in path or "api_key" in path]


async def test_a_password_that_is_changed_leaves_raw_audio_on_asterisks_host_until_somebody_restarts_the_service(
    asterisk: tuple[Asterisk, str], spool: Path, incoming: Path, tmp_path: Path
) -> None:
    file = tmp_path / "ari-password"
    file.write_text("of last year")
    record(spool / f"{NAME}.wav")
    async with open_remote_spool(
        asterisk[1], "ccari", lambda: password_in(file, "asterisk"), incoming
    ) as far:
        with pytest.raises(RecordingDelayed, match="refuses access to its recordings"):
            await far.recording_ids()
        file.write_text("secret")
        assert await far.recording_ids() == [TAG.recording_id]
        # while the file is being written, or for a user who may not read it, the last one that was read still counts
        file.write_text("")
        assert (await far.take(TAG.recording_id)).exists()


async def test_a_redirect_has_something_fetched_or_deleted_elsewhere(
    far: RemoteSpool, asterisk: tuple[Asterisk, str], spool: Path
) -> None:
    async def elsewhere(request: web.Request) -> web.StreamResponse:
        if request.path == "/else":
            return web.Response(status=204)
        return web.Response(status=307, headers={"location": "/else"})

    record(spool / f"{NAME}.wav")
    asterisk[0].answer = elsewhere
    for asking in (far.take(TAG.recording_id), far.recording_ids(), far.remove(TAG.recording_id)):
        with pytest.raises(RecordingError, match="answered 307"):
            await asking
    assert "/else" not in [path for _, path in asterisk[0].asked]


async def test_something_is_left_here_or_there_or_removed_twice_in_an_error(
    far: RemoteSpool, spool: Path, incoming: Path
) -> None:
    record(spool / f"{NAME}.wav")
    await far.take(TAG.recording_id)
    await far.remove(TAG.recording_id)
    await far.remove(TAG.recording_id)
    assert files(spool) == files(incoming) == []


async def test_a_removal_that_failed_there_goes_unnoticed(
    far: RemoteSpool, asterisk: tuple[Asterisk, str]
) -> None:
    asterisk[0].answer = _status(500)
    with pytest.raises(RecordingError, match="could not be removed: Asterisk answered 500"):
        await far.remove(TAG.recording_id)


async def test_a_full_disk_here_leaves_half_a_file_or_loses_the_recording(
    far: RemoteSpool, spool: Path, incoming: Path
) -> None:
    record(spool / f"{NAME}.wav", 4 * SECOND)
    incoming.parent.mkdir()
    incoming.write_text("no folder")  # noqa: ASYNC240
    with pytest.raises(RecordingDelayed, match="could not be fetched: "):
        await far.take(TAG.recording_id)
    incoming.unlink()  # noqa: ASYNC240
    assert (await far.take(TAG.recording_id)).exists()


async def test_what_others_recorded_is_listed_or_what_was_left_here_is_not(
    far: RemoteSpool, spool: Path, incoming: Path
) -> None:
    here, half = uuid4(), uuid4()
    for name in (f"{NAME}.wav", "voicemail.wav", f"{uuid4()}.gsm"):
        record(spool / name)
    assert list(await far.recording_ids()) == [TAG.recording_id]
    incoming.mkdir(parents=True)  # noqa: ASYNC240
    for name in (f"{here}.wav", f"{half}.part", "other"):
        (incoming / name).touch()
    assert sorted(await far.recording_ids()) == sorted([TAG.recording_id, here, half])


async def _without_end(request: web.Request) -> web.StreamResponse:
    reply = web.StreamResponse()
    await reply.prepare(request)
    while True:
        await reply.write(b" " * remote.MOST_LIST_BYTES)


async def _swelling(_: web.Request) -> web.StreamResponse:
    """A short one would fill the memory."""
    reply = web.json_response([{"name": NAME, "format": "wav"}])
    reply.enable_compression(web.ContentCoding.gzip)
    return reply


@pytest.mark.parametrize(
    ("answer", "words"),
    [(_page, "makes no sense"), (_status(200), "makes no sense"), (_swelling, "makes no sense"), (_without_end, "has more than")],
    ids=["a page", "no list", "compressed", "without end"],
)  # fmt: skip
async def test_an_invalid_list_of_recordings_ends_in_a_traceback_or_fills_the_memory(
    far: RemoteSpool,
    asterisk: tuple[Asterisk, str],
    monkeypatch: pytest.MonkeyPatch,
    answer: Answer,
    words: str,
) -> None:
    monkeypatch.setattr(remote, "MOST_LIST_BYTES", 64 * 1024)
    asterisk[0].answer = answer
    with pytest.raises(RecordingDelayed, match=words):
        await far.recording_ids()


async def test_all_recordings_are_fetched_at_once(
    far: RemoteSpool, asterisk: tuple[Asterisk, str], spool: Path
) -> None:
    going, most = 0, 0

    async def answer(request: web.Request) -> web.StreamResponse:
        nonlocal going, most
        going += 1
        most = max(most, going)
        await asyncio.sleep(0.02)
        going -= 1
        return web.Response(body=(spool / f"{request.match_info['name']}.wav").read_bytes())

    asterisk[0].answer = answer
    names = [uuid4() for _ in range(6)]
    for each in names:
        record(spool / f"{each}.wav")
    taken = await asyncio.gather(*(far.take(each) for each in names))
    assert [UUID(path.stem) for path in taken] == names
    assert most == remote.AT_ONCE


async def test_the_agents_side_of_a_recording_is_not_fetched_or_left_there(
    far: RemoteSpool, spool: Path, incoming: Path
) -> None:
    assert await far.take_agents(TAG.recording_id) is None
    content = record(spool / f"{agents_side(TAG.recording_id)}.wav", 3 * SECOND).read_bytes()
    record(spool / f"{NAME}.wav")
    assert list(await far.recording_ids()) == [TAG.recording_id]
    path = await far.take_agents(TAG.recording_id)
    assert path is not None
    assert path.read_bytes() == content
    await far.remove(TAG.recording_id)
    assert files(spool) == files(incoming) == []


async def test_what_was_fetched_is_lost_when_asterisk_has_it_no_more(far: RemoteSpool, spool: Path) -> None:
    """It could not be stored when it was fetched; then Asterisk was set up anew, and the fetched file was the only
    copy.
    """
    sides = {NAME: far.take, agents_side(TAG.recording_id): far.take_agents}
    for name, take in sides.items():
        raw = record(spool / f"{name}.wav", 3 * SECOND)
        content = raw.read_bytes()
        await take(TAG.recording_id)
        raw.unlink()
        path = await take(TAG.recording_id)
        assert path is not None
        assert path.read_bytes() == content
