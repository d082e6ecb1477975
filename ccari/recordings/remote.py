"""The spool of an Asterisk on another host: recordings are fetched over HTTP, with ARI's ``recordings/stored``."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from http import HTTPStatus
from io import FileIO
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

import aiohttp
import orjson

from ccari.errors import ConfigError, RecordingDelayed, RecordingError, why
from ccari.own_threads import OwnThreads
from ccari.peers import Connector, client, whole
from ccari.ports.recordings import AGENTS_SIDE, agents_side
from ccari.recordings import raw
from ccari.recordings.spool import uuid_of

_T = TypeVar("_T")

CONNECT_SECONDS = 5.0
#: Time-out of any answer, and between two pieces of a file.
ANSWER_SECONDS = 15.0
#: Time-out of a whole file: ten hours of talk at 5 Mbit/s.
FETCH_SECONDS = 900.0
#: Time-out of our own disk for writing a piece, or listing files.
DISK_SECONDS = 30.0
#: Files fetched in parallel; Asterisk serves calls too.
AT_ONCE = 2
#: The most bytes in the list of files. A list of a million has some 60 MB.
MOST_LIST_BYTES = 128 * 1024 * 1024
_LOOK_AGAIN_SECONDS = 0.2
_PIECE = 64 * 1024
_PART = ".part"


class _NotThereError(RecordingError):
    pass


class RemoteSpool:
    """Fetches files to ``incoming``, where a file gets its name only once it is complete. ``password``: reads the ARI user's password,
    which may be changed while the service runs; it raises ConfigError.
    """

    def __init__(
        self, session: aiohttp.ClientSession, url: str, username: str, password: Callable[[], str], incoming: Path
    ) -> None:  # fmt: skip
        self._session = session
        self._username = username
        self._read_password = password
        self._password = password()
        self._stored = f"{url.rstrip('/')}/ari/recordings/stored"
        self._incoming = incoming
        self._turn = asyncio.Semaphore(AT_ONCE)
        self._threads = OwnThreads("ccari-incoming", RecordingDelayed)

    async def take(self, recording_id: UUID) -> Path:
        return await self._take(str(recording_id))

    async def take_agents(self, recording_id: UUID) -> Path | None:
        try:
            return await self._take(agents_side(recording_id))
        except _NotThereError:
            return None

    async def _take(self, name: str) -> Path:
        path = self._path(name)
        async with self._turn:
            try:
                await self._fetch_closed(name, path)
            except _NotThereError:
                # Asterisk's folder may have been emptied since: then the copy fetched earlier is all that is left
                if not await self._disk(path.is_file):
                    raise
        return path

    async def _fetch_closed(self, name: str, path: Path) -> None:
        await self._fetch(name, path)
        # Asterisk reports the end just before it closes the file; a killed Asterisk never closes it
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(raw.CLOSE_SECONDS):
                while await self._disk(raw.is_open, path):
                    await asyncio.sleep(_LOOK_AGAIN_SECONDS)
                    await self._fetch(name, path)

    async def remove(self, recording_id: UUID) -> None:
        for each in (agents_side(recording_id), str(recording_id)):
            await self._remove(each)

    async def _remove(self, name: str) -> None:
        try:
            async with self._asked("DELETE", f"/{name}") as reply:
                if reply.status != HTTPStatus.NO_CONTENT and not _has_none(reply):
                    raise RecordingError(f"{name} could not be removed: Asterisk answered {reply.status}")
            for each in (self._path(name), self._part(name)):
                await self._disk(_unlink, each)
        except OSError as error:
            raise RecordingError(f"{name} could not be removed: {why(error)}") from None

    async def recording_ids(self) -> Sequence[UUID]:
        async with self._asked("GET", "") as reply:
            if reply.status != HTTPStatus.OK:
                raise _refused(reply)
            told = await whole(reply, MOST_LIST_BYTES)
            if told is None:
                raise RecordingDelayed(
                    f"Asterisk's list of its recordings has more than {MOST_LIST_BYTES} bytes"
                )
        there = _names(told)
        try:
            here = await self._disk(lambda: [each.stem.removeprefix(".") for each in self._fetched()])
        except OSError as error:
            raise RecordingDelayed(f"{self._incoming} cannot be read: {why(error)}") from None
        return list(dict.fromkeys(_ours([*there, *here])))

    async def _fetch(self, name: str, path: Path) -> None:
        part = self._part(name)
        async with self._asked("GET", f"/{name}/file", total=FETCH_SECONDS) as reply:
            if _has_none(reply):
                raise _NotThereError(f"Asterisk has no file {path.name}")
            if reply.status != HTTPStatus.OK:
                raise _refused(reply)
            if reply.content_length is None:
                # its end may never come, and it would fill our disk
                raise RecordingDelayed(f"Asterisk does not say how long {path.name} is")
            try:
                file = await self._threads.within(DISK_SECONDS, _begin, part, unwanted=FileIO.close)
                try:
                    async for piece in reply.content.iter_chunked(_PIECE):
                        await self._disk(_write, file, piece)
                    if reply.content_length != await self._disk(_size, file):
                        raise RecordingDelayed(f"Asterisk did not send all of {path.name}")
                    if not await self._disk(_may_be_sound, file):
                        # a proxy's own page, say: if we stored it in place of the recording, the recording would be removed from Asterisk
                        raise RecordingDelayed(
                            f"what came in the place of {path.name} is no recording: check [asterisk] url"
                        )
                    await self._disk(part.replace, path)
                finally:
                    # a disk that hangs has been reported, and the next attempt starts over
                    with contextlib.suppress(OSError, RecordingDelayed):
                        await self._disk(_end, file, part)
            except (aiohttp.ClientError, TimeoutError):
                raise
            except OSError as error:
                raise RecordingDelayed(f"{path.name} could not be fetched: {why(error)}") from None

    async def _disk(self, work: Callable[..., _T], *given: Any) -> _T:
        """Raises what the work raises, and RecordingDelayed if our own disk does not answer."""
        return await self._threads.within(DISK_SECONDS, work, *given)

    @contextlib.asynccontextmanager
    async def _asked(
        self, method: str, path: str, total: float = ANSWER_SECONDS
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """A request to Asterisk. Raises RecordingDelayed if it fails or takes too long."""
        limits = aiohttp.ClientTimeout(total=total, connect=CONNECT_SECONDS, sock_read=ANSWER_SECONDS)
        # if the password cannot be read, its file may be half written, and the previous password may still be right
        with contextlib.suppress(ConfigError, RecordingDelayed):
            self._password = await self._threads.within(CONNECT_SECONDS, self._read_password)
        headers = {"Authorization": aiohttp.encode_basic_auth(self._username, self._password)}
        try:
            async with self._session.request(
                # following a redirect could fetch, or delete, something on a host that is not in the settings
                method, f"{self._stored}{path}", headers=headers, timeout=limits, allow_redirects=False,
            ) as reply:  # fmt: skip
                yield reply
        except TimeoutError:
            raise RecordingDelayed("Asterisk did not answer in time when asked for its recordings") from None
        except (aiohttp.ClientError, ValueError) as error:
            told = why(error) if isinstance(error, OSError) else type(error).__name__
            raise RecordingDelayed(f"Asterisk cannot be asked for its recordings: {told}") from None

    def _fetched(self) -> Iterator[Path]:
        with contextlib.suppress(FileNotFoundError):
            yield from self._incoming.iterdir()

    def _path(self, name: str) -> Path:
        return self._incoming / f"{name}.wav"

    def _part(self, name: str) -> Path:
        return self._incoming / f"{name}{_PART}"


@contextlib.asynccontextmanager
async def open_remote_spool(
    url: str, username: str, password: Callable[[], str], incoming: Path
) -> AsyncIterator[RemoteSpool]:
    """``url``: of Asterisk's HTTP server. The credentials are those of an ARI user, and go into a header. Raises ConfigError if there is
    no password.
    """
    # Asterisk closes the connection after each answer, whatever its headers say
    async with client(Connector(force_close=True)) as session:
        yield RemoteSpool(session, url, username, password, incoming)


def _names(told: bytes) -> list[str]:
    """The names in Asterisk's list of files that may be ours. Raises RecordingDelayed if it is not a list."""
    try:
        return [str(each["name"]) for each in orjson.loads(told) if each["format"] == "wav"]
    except (ValueError, KeyError, TypeError):
        raise RecordingDelayed(
            "Asterisk's list of its recordings makes no sense: check [asterisk] url"
        ) from None


def _begin(part: Path) -> FileIO:
    """Raw audio is for nobody else to read. Unbuffered: a thread that hangs would hold the buffer's lock."""
    part.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    part.unlink(missing_ok=True)
    part.touch(mode=0o600)
    return part.open("w+b", buffering=0)


def _write(file: FileIO, piece: bytes) -> None:
    left = memoryview(piece)
    while left:
        left = left[file.write(left) :]


def _size(file: FileIO) -> int:
    return os.fstat(file.fileno()).st_size


def _may_be_sound(file: FileIO) -> bool:
    """Whether the file begins as Asterisk's files do, or is empty or begins with zeroes, as a failing disk may leave it."""
    begins = os.pread(file.fileno(), len(raw.MAGIC), 0)
    return raw.MAGIC.startswith(begins) or not any(begins)


def _end(file: FileIO, part: Path) -> None:
    """Close the file, and remove it if it was not moved into place. Another attempt may have its own file there by now."""
    with file, contextlib.suppress(FileNotFoundError):
        if os.path.samestat(part.stat(), os.fstat(file.fileno())):
            part.unlink()


def _unlink(path: Path) -> None:
    path.unlink(missing_ok=True)


def _ours(names: Sequence[str]) -> Iterator[UUID]:
    for each in names:
        if found := uuid_of(each.removesuffix(AGENTS_SIDE)):
            yield found


def _has_none(reply: aiohttp.ClientResponse) -> bool:
    """Whether ARI says that there is no such recording. While Asterisk starts, its HTTP server runs before ARI does, and answers every
    request with a 404 in HTML (for 1.4 s, as measured).
    """
    return reply.status == HTTPStatus.NOT_FOUND and reply.content_type == "application/json"


def _refused(reply: aiohttp.ClientResponse) -> RecordingDelayed:
    if reply.status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        return RecordingDelayed(
            "Asterisk refuses access to its recordings: check [asterisk] username and password"
        )
    return RecordingDelayed(f"Asterisk did not give out its recordings: it answered {reply.status}")
