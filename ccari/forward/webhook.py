"""Posts a message to a webhook: signed JSON, which the webhook accepts by answering with a 2xx status."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from http import HTTPStatus

import aiohttp

from ccari.errors import ForwardError, why
from ccari.forward.message import message, message_id, signature
from ccari.peers import client
from ccari.ports.forwarding import Forward

#: From the first packet to the status line; Standard Webhooks recommends 15 to 30.
TIMEOUT_SECONDS = 15.0


class NotTakenError(ForwardError):
    """The webhook did not accept a message. ``status``: HTTP, if it answered. ``retry_after``: how long it asks to be left alone."""

    def __init__(self, words: str, status: int | None = None, retry_after: timedelta = timedelta()) -> None:
        super().__init__(words)
        self.status = status
        self.retry_after = retry_after

    @property
    def of_the_message(self) -> bool:
        """True if the webhook refuses this message (4xx), and may accept another; otherwise the webhook itself is at fault."""
        own_faults = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS)
        refusals = range(HTTPStatus.BAD_REQUEST, HTTPStatus.INTERNAL_SERVER_ERROR)
        return self.status in refusals and self.status not in own_faults


class Webhook:
    """Posts messages over one HTTP client."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def send(self, url: str, secret: bytes, forward: Forward) -> int:
        """Post one change of a request. Gives the HTTP status.

        Raises
        ------
        NotTakenError
            If the answer is not a 2xx, or does not come in time. Its words hold nothing of the URL or the body.
        """
        return await self.post(url, secret, message_id(forward), message(forward))

    async def post(self, url: str, secret: bytes, identity: str, body: bytes) -> int:
        """Post one signed message. ``identity``: its id, the same each time it is sent. Raises like :meth:`send`."""
        now = int(time.time())
        headers = {
            "content-type": "application/json",
            "webhook-id": identity,
            "webhook-timestamp": str(now),
            "webhook-signature": signature(secret, identity, now, body),
        }
        try:
            async with (
                asyncio.timeout(TIMEOUT_SECONDS),
                # a redirect would send the message to a host that is not in the settings
                self._session.post(url, data=body, headers=headers, allow_redirects=False) as answer,
            ):
                status, retry_after = answer.status, answer.headers.get("retry-after", "")
        except TimeoutError:
            raise NotTakenError(f"it did not answer within {TIMEOUT_SECONDS:g} s") from None
        except aiohttp.ClientSSLError as error:
            raise NotTakenError(f"it cannot be reached by TLS: {why(error)}") from None
        except aiohttp.ClientConnectorDNSError:
            raise NotTakenError("its host is not known") from None
        except aiohttp.ClientOSError as error:
            raise NotTakenError(f"it cannot be reached: {why(error)}") from None
        except aiohttp.ServerDisconnectedError:
            raise NotTakenError("the connection ended before it had answered") from None
        except (aiohttp.ClientError, ValueError) as error:
            raise NotTakenError(f"its answer is not valid HTTP: {type(error).__name__}") from None
        if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
            return status
        raise NotTakenError(_refusal(status), status, _seconds(retry_after))


@contextlib.asynccontextmanager
async def open_webhook() -> AsyncIterator[Webhook]:
    async with client() as session:
        yield Webhook(session)


def _refusal(status: int) -> str:
    redirects = HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST
    return f"it answered {status}" + (": redirects are not followed, so set the new url" if redirects else "")


def _seconds(retry_after: str) -> timedelta:
    """``Retry-After`` in seconds, if it has at most five digits. The form with a date is rare, and is ignored."""
    digits = retry_after.isascii() and retry_after.isdigit() and len(retry_after) <= len("86400")
    return timedelta(seconds=int(retry_after)) if digits else timedelta()
