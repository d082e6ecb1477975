"""The HTTP client that asyncari uses: REST requests and events share one WebSocket (Asterisk >= 22.4).

The credentials travel once, in a header. asyncari's own client opens three connections, puts the password in
the URL and repeats a POST whose reply was lost, which would dial twice.
"""

import asyncio
import contextlib
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import Any

import aiohttp
import orjson
import structlog

from ccari.errors import AsteriskError, CcariError, UnsuitableError, why
from ccari.log import without_numbers
from ccari.own_threads import OwnThreads
from ccari.peers import whole

_log = structlog.get_logger()

#: Time-outs for opening the connection, and for any one reply; a healthy Asterisk answers in a millisecond.
CONNECT_SECONDS = 5.0
REQUEST_SECONDS = 5.0
#: Time-out for a reply that Asterisk gives only after playing a prompt, and those queued before it, to the end.
BESIDE_SECONDS = 60.0
#: Time-out for the closing handshake of a connection.
CLOSE_SECONDS = 1.0
#: Asterisk sends no keep-alive of its own: without ours, a dead link would never be noticed.
HEARTBEAT_SECONDS = 10.0
#: A connection over which Asterisk has said anything in this time is alive, and is not asked. A few calls make Asterisk say something
#: more often than that.
LATELY_SECONDS = 0.1
_FILES_OF_PASSWORDS = OwnThreads("ccari-ari-password", AsteriskError)
#: The message types by which aiohttp reports that the connection has ended.
_LAST = (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSING, aiohttp.WSMsgType.CLOSED)
#: The largest error body read from a request made beside the WebSocket.
_LARGEST_REFUSAL = 64 * 1024
#: A listing of a busy PBX runs to megabytes.
_LARGEST_MESSAGE = 64 * 1024 * 1024


class Refused(AsteriskError):  # noqa: N818 - a refusal, told as such
    """Asterisk answered with an HTTP error. ``status`` is its code."""

    def __init__(self, status: int, what: str, message: str) -> None:
        super().__init__(f"Asterisk refused to {what}: {message} ({status})")
        self.status = status


class LinkLost(AsteriskError):  # noqa: N818 - an event, told as such
    """The connection to Asterisk is gone, or gave no answer in time."""


@dataclass(frozen=True, slots=True)
class Reply:
    """The part of a response that asyncari reads."""

    status_code: int
    text: str

    def json(self) -> Any:
        return orjson.loads(self.text)


@dataclass(frozen=True, slots=True)
class Credentials:
    """Where ARI is, and as which user to connect. The ``repr`` does not show the password. ``read`` reads the
    password from its file, and raises ConfigError.
    """

    url: str
    username: str
    password: str
    app: str
    read: Callable[[], str] | None = field(default=None, compare=False)

    async def anew(self) -> "Credentials":
        """The credentials with the current password, which may change while the service runs. Unchanged if
        the file cannot be read: it may be half written, and the old password may still be right.
        """
        if self.read is None:
            return self
        with contextlib.suppress(CcariError):
            return replace(self, password=await _FILES_OF_PASSWORDS.within(CONNECT_SECONDS, self.read))
        return self

    def __repr__(self) -> str:
        return f"Credentials({self.username}@{self.url})"

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": aiohttp.encode_basic_auth(self.username, self.password)}


class Transport:
    """One connection: opened once, and never used again after it was lost, fenced or shut out."""

    def __init__(
        self,
        socket: aiohttp.ClientWebSocketResponse,
        beside: aiohttp.ClientSession,
        headers: Mapping[str, str],
    ) -> None:
        self._socket = socket
        self._beside = beside
        # close the connection after the answer: Asterisk counts idle ones against its session limit
        self._headers = {**headers, "Connection": "close"}
        #: Set if Asterisk refuses the user. It checks the password with each request, but sends events all the same. The
        #: password was changed, or the user may no longer write; a new connection may use a new password.
        self.shut_out = asyncio.Event()
        self._waiting: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self._last_id = 0
        self._fenced = False
        #: When Asterisk last said something, by the loop's clock.
        self._heard_at = -math.inf
        self._asking = asyncio.Lock()

    async def read(self, on_event: Callable[[dict[str, Any]], None]) -> None:
        """Hand out replies and events until the connection ends.

        ``on_event`` is called in the reader, so it must return at once. What it raises is logged, and the reader goes on.
        """
        now = asyncio.get_running_loop().time
        try:
            while (message := await self._socket.receive()).type not in _LAST:
                if message.type is aiohttp.WSMsgType.TEXT:
                    self._heard_at = now()
                    self._take(message.data, on_event)
        finally:
            for future in self._waiting.values():
                if not future.done():
                    future.set_exception(LinkLost("the connection to Asterisk was lost"))

    def fence(self) -> None:
        """Send nothing more, whoever asks: another service drives this Asterisk now."""
        self._fenced = True

    def _is_over(self) -> bool:
        return self._fenced or self._socket.closed

    async def answers(self, within: float) -> bool:
        """Whether Asterisk says something, whatever it is, ``within`` so many seconds. It is asked only if it has said nothing in the last
        :data:`LATELY_SECONDS`; who asks meanwhile waits for that answer. False if it has refused the user.
        """
        if self._is_over():
            return False
        since = asyncio.get_running_loop().time() - LATELY_SECONDS
        if self._heard_at < since:
            with contextlib.suppress(AsteriskError, TimeoutError):
                async with asyncio.timeout(within), self._asking:
                    if self._heard_at < since:
                        await self.request("GET", "/ari/asterisk/ping")
        return not self._is_over() and self._heard_at >= since

    async def request(
        self,
        method: str,
        url: str,
        params: Mapping[str, Any] | None = None,
        data: str | None = None,
    ) -> Reply:
        """Send one REST request, at most once.

        Raises
        ------
        Refused
            On a status of 400 or above.
        LinkLost
            If the connection is gone, or no reply came within :data:`REQUEST_SECONDS`. Whether Asterisk carried the request out is then
            unknown.
        """
        if self._is_over():
            raise LinkLost("the connection to Asterisk was lost")
        uri = url.partition("/ari/")[2]
        request: dict[str, Any] = {
            "method": method,
            "uri": uri,
            "query_strings": [{"name": name, "value": str(value)} for name, value in (params or {}).items()],
        }
        if data is not None:
            request |= {"content_type": "application/json", "message_body": data}
        try:
            async with asyncio.timeout(REQUEST_SECONDS):
                reply = await self._reply_to(request)
        except (TimeoutError, ConnectionError, aiohttp.ClientError):
            raise LinkLost(f"Asterisk gave no answer to {method} {_kind(uri)}") from None
        status, body = int(reply["status_code"]), str(reply.get("message_body") or "")
        self._heed(status)
        if status >= HTTPStatus.BAD_REQUEST:
            raise Refused(
                status, f"{method} {_kind(uri)}", _message(body) or str(reply.get("reason_phrase", ""))
            )
        return Reply(status, body)

    async def _reply_to(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Send a ``RESTRequest``, and wait for the ``RESTResponse`` to it."""
        self._last_id += 1
        request_id = str(self._last_id)
        message = {"type": "RESTRequest", "request_id": request_id, "transaction_id": request_id, **request}
        future: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._waiting[request_id] = future
        try:
            await self._socket.send_frame(orjson.dumps(message), aiohttp.WSMsgType.TEXT)
            return await future
        finally:
            self._waiting.pop(request_id, None)

    def _heed(self, status: int) -> None:
        """Give the connection up if Asterisk refuses the user. Raises LinkLost if it rejects the password."""
        if status in _FOR_A_PERSON:
            self.fence()
            self.shut_out.set()
        if status == HTTPStatus.UNAUTHORIZED:
            raise LinkLost("Asterisk takes the password no more")

    async def post_beside(self, url: str, params: Mapping[str, str], seconds: float) -> None:
        """Send one POST over a connection of its own, for a reply that may take as long as a prompt. Asterisk
        serves requests on the WebSocket one after the other, so all others would wait for it.

        Raises
        ------
        Refused
            On a status of 400 or above.
        LinkLost
            If the WebSocket is gone, or no reply came within ``seconds``.
        """
        if self._is_over():
            raise LinkLost("the connection to Asterisk was lost")
        kind = f"POST {_kind(url.partition('/ari/')[2])}"
        try:
            async with (
                asyncio.timeout(seconds),
                self._beside.post(url, params=params, headers=self._headers) as reply,
            ):
                status, body = reply.status, await whole(reply, _LARGEST_REFUSAL) or b""
        except (TimeoutError, OSError, aiohttp.ClientError):
            raise LinkLost(f"Asterisk gave no answer to {kind}") from None
        self._heed(status)
        if status >= HTTPStatus.BAD_REQUEST:
            raise Refused(status, kind, _message(body))

    async def close(self) -> None:
        """Close the connection with a closing handshake of at most :data:`CLOSE_SECONDS`, also if this is cancelled."""
        try:
            await self._socket.close()
        except asyncio.CancelledError:
            # aiohttp takes itself for closed as soon as it has begun, and ends the connection only with a second call
            await self._socket.close()
            raise

    def _take(self, text: str, on_event: Callable[[dict[str, Any]], None]) -> None:
        try:
            message = orjson.loads(text)
            if message.get("type") == "RESTResponse":
                future = self._waiting.get(message["request_id"])
                if future is not None and not future.done():
                    future.set_result(message)
                return
            on_event(message)
        except Exception:  # noqa: BLE001 - logged
            # one odd event must not end all other calls
            _log.exception("ari_event_failed")


async def connect(session: aiohttp.ClientSession, credentials: Credentials) -> Transport:
    """Open the events WebSocket, which makes the application ours.

    Raises
    ------
    AsteriskError
        Says what to do about it: a wrong password, no ARI, nobody there.
    """
    with explained(credentials):
        async with asyncio.timeout(CONNECT_SECONDS):
            socket = await session.ws_connect(
                f"{credentials.url.rstrip('/')}/ari/events", params={"app": credentials.app},
                headers=credentials.headers, heartbeat=HEARTBEAT_SECONDS, max_msg_size=_LARGEST_MESSAGE,
                timeout=aiohttp.ClientWSTimeout(ws_close=CLOSE_SECONDS),
            )  # fmt: skip
    return Transport(socket, session, credentials.headers)


@contextlib.contextmanager
def explained(credentials: Credentials) -> Iterator[None]:
    """Turn what aiohttp raises while connecting into an AsteriskError that says what to do."""
    where = credentials.url
    try:
        yield
    except aiohttp.ClientResponseError as error:
        words = _EXPLANATIONS.get(error.status, "{url} is no ARI: it answered {status}: check [asterisk] url")
        # other statuses may pass: a starting Asterisk answers 404 until it has loaded res_ari, then 503
        kind = UnsuitableError if error.status in _FOR_A_PERSON else AsteriskError
        raise kind(words.format(url=where, user=credentials.username, status=error.status)) from None
    except (TimeoutError, aiohttp.ServerTimeoutError):
        raise AsteriskError(f"Asterisk at {where} did not answer within {CONNECT_SECONDS:.0f} s") from None
    except aiohttp.ClientSSLError as error:
        raise AsteriskError(
            f"Asterisk at {where} cannot be reached by TLS: {why(error)}: check [asterisk] url, and tlscertfile in http.conf"
        ) from None
    except aiohttp.ServerDisconnectedError:
        raise AsteriskError(
            f"Asterisk at {where} closed the connection without an answer: check sessionlimit in http.conf, and [asterisk] url"
        ) from None
    except aiohttp.ClientConnectorDNSError as error:
        raise AsteriskError(
            f"Asterisk at {where} cannot be reached: {why(error)}: check the host in [asterisk] url"
        ) from None
    except (aiohttp.ClientError, OSError) as error:
        reason = why(error) if isinstance(error, OSError) else type(error).__name__
        raise AsteriskError(
            f"Asterisk at {where} cannot be reached: {reason}: is it running, with HTTP and ARI enabled in http.conf and "
            "ari.conf?"
        ) from None


_EXPLANATIONS: dict[int, str] = {
    HTTPStatus.UNAUTHORIZED: "Asterisk at {url} refused the ARI user {user}: check its name and password in ari.conf "
    "and in [asterisk]",
    HTTPStatus.FORBIDDEN: "Asterisk at {url} does not let the ARI user {user} write: remove read_only in ari.conf",
    HTTPStatus.NOT_FOUND: "Asterisk at {url} has no ARI: load res_ari.so and res_http_websocket.so, and enable it in "
    "ari.conf",
    HTTPStatus.SERVICE_UNAVAILABLE: "Asterisk at {url} is still starting",
}

_FOR_A_PERSON = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})


def _message(body: str | bytes) -> str:
    """Asterisk's own words, without any number that they quote."""
    try:
        text = str(orjson.loads(body).get("message", ""))
    except (ValueError, AttributeError):
        return ""
    return without_numbers(text)


def _kind(uri: str) -> str:
    """The resource and operation, without the ids between them: ``channels/play``."""
    return "/".join(part for part in uri.split("/") if part.isalpha())
