"""Lists that clients upload. They are read as they arrive, never held in memory, and refused if they break off."""

import asyncio
import hashlib
import io
from collections.abc import Awaitable, Callable
from http import HTTPStatus

from aiohttp import ClientError, web

from ccari.web.pace import Pace
from ccari.web.problems import Refusal

#: The media types of a list: a CSV, or one number per line.
CSV, PLAIN = "text/csv", "text/plain"
#: How long the next piece may take to arrive. The list must also keep up the minimum average rate: see :class:`Pace`.
PIECE_SECONDS = 10.0
#: The most bytes of a list. Two million consents with their proofs take some 300 MB.
LIST_BYTES = 1024 * 1024 * 1024


class Upload(io.RawIOBase):
    """An arriving list, as a file that a thread reads while the event loop goes on.

    ``more``: returns the next piece, b"" at the end. ``most_bytes``: a longer list is refused. Reading raises Refusal: 408, 413, and 400
    if the list does not arrive whole.
    """

    def __init__(self, more: Callable[[], Awaitable[bytes]], most_bytes: int = LIST_BYTES) -> None:
        super().__init__()
        self._more = more
        self._loop = asyncio.get_running_loop()
        self._most = most_bytes
        self._pace = Pace()
        self._taken = 0
        self._digest = hashlib.sha256()
        #: The unread rest of the last piece.
        self._left = b""
        self._is_over = False

    @classmethod
    def of(cls, request: web.Request, most_bytes: int = LIST_BYTES) -> "Upload":
        """The body of a request. Raises Refusal (415) if its media type is not a list's."""
        if request.content_type not in {CSV, PLAIN}:
            raise Refusal(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"a list must be {CSV} or {PLAIN}")
        request[_UPLOAD] = upload = cls(request.content.readany, most_bytes)
        return upload

    def readable(self) -> bool:
        return True

    def readinto(self, into: "memoryview[int]") -> int:  # type: ignore[override]
        """Block until there is something to read. 0: the end."""
        if not self._left:
            self._left = self._piece()
        piece, self._left = self._left[: len(into)], self._left[len(into) :]
        into[: len(piece)] = piece
        return len(piece)

    def drained(self) -> bytes:
        """The SHA-256 of the whole list. Blocks until the rest has come, which is discarded."""
        while self._piece():
            pass
        return self._digest.digest()

    def _piece(self) -> bytes:
        # a client that has sent the whole list may be gone by now, which is no fault of the list
        if self._is_over:
            return b""
        piece = asyncio.run_coroutine_threadsafe(self._next(), self._loop).result()
        self._is_over = not piece
        self._taken += len(piece)
        if self._taken > self._most:
            raise Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"a list may have at most {self._most} bytes")
        self._digest.update(piece)
        return piece

    async def _next(self) -> bytes:
        try:
            async with self._pace.waiting(PIECE_SECONDS):
                piece = await self._more()
        except TimeoutError:
            raise Refusal(HTTPStatus.REQUEST_TIMEOUT, "the list did not arrive in time") from None
        except (ClientError, web.RequestPayloadError, ConnectionError, ValueError):
            raise Refusal(HTTPStatus.BAD_REQUEST, "the list arrived incomplete") from None
        self._pace.moved(len(piece))
        return piece


_UPLOAD = web.RequestKey("upload", Upload)


async def digest_of_list(request: web.Request) -> bytes:
    """The SHA-256 of the list that came with the request, or is still arriving. Raises like :class:`Upload`."""
    return await asyncio.to_thread((request.get(_UPLOAD) or Upload.of(request)).drained)
