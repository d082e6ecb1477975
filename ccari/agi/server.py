"""The FastAGI server: a bounded number of connections, each with its own task, all ended with the service."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from functools import partial

import structlog

from ccari.agi.alive import alive
from ccari.agi.desk import Desk
from ccari.agi.gate import gate
from ccari.agi.rights import rights
from ccari.agi.session import LINE_BYTES, AgiError, GoneError, MalformedError, Session
from ccari.errors import cannot_listen
from ccari.gating.abandoned import sweep
from ccari.gating.labels import label
from ccari.log import Flood
from ccari.tasks import beside

_log = structlog.get_logger()

#: A gate takes some milliseconds, a menu a minute. More connections at once mean that a dialplan is looping.
MOST_SESSIONS = 500
#: How long conversations may take to end when the service stops. After that they are cut, and the dialplan's DENY stands.
DRAIN_SECONDS = 5.0
#: A visit lasts at most five minutes, and closing its call is tried for as long. A call older than this is no longer run, neither here nor
#: on another machine with the same host name, such as a clone of this one. The service ends none that is younger: it may be the other's.
LONGEST_SECONDS = 900.0

Script = Callable[[Session, Desk], Awaitable[None]]
SCRIPTS: Mapping[str, Script] = {"gate": gate, "rights": rights, "alive": alive}


@contextlib.asynccontextmanager
async def serve_agi(listen: str, desk: Desk) -> AsyncIterator["Conversations"]:
    """Answer FastAGI on ``listen`` (``HOST:PORT``) while the context lasts.

    Raises
    ------
    ConfigError
        If the port is taken or may not be used.
    """
    conversations = Conversations(desk)
    host, _, port = listen.rpartition(":")
    with _explained(listen):
        server = await asyncio.start_server(conversations.take, host.strip("[]"), int(port), limit=LINE_BYTES)
    async with (
        beside(desk.unrecorded.run),
        beside(partial(sweep, desk.store, desk.asterisk, LONGEST_SECONDS)),
    ):
        try:
            yield conversations
        finally:
            server.close()
            await conversations.drain()


@contextlib.contextmanager
def _explained(listen: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise cannot_listen(listen, error, "agi") from None


class Conversations:
    """Owns the task of every connection."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._tasks: set[asyncio.Task[None]] = set()
        self._turned_away = Flood(
            lambda times: _log.error("agi_turned_away", sessions=len(self._tasks), times=times)
        )

    def __len__(self) -> int:
        return len(self._tasks)

    def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Called for each connection; returns at once."""
        if len(self._tasks) >= MOST_SESSIONS:
            self._turned_away.add()
            writer.transport.abort()
            return
        task = asyncio.create_task(self._converse(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def drain(self) -> None:
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=DRAIN_SECONDS)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        session = Session(reader, writer)
        try:
            await session.begin()
            script = SCRIPTS.get(session.script)
            if script is None:
                _log.warning("agi_unknown", script=label(session.script), known=", ".join(SCRIPTS))
                await session.set_variable("CCARI_VERDICT", "DENY")
                return
            await script(session, self._desk)
        except GoneError:
            _log.info("agi_hung_up", script=label(session.script))
        except MalformedError as error:
            session.give_up()
            _log.warning("agi_cut_off", script=label(session.script), reason=str(error))
        except AgiError as error:
            _log.warning("agi_failed", script=label(session.script), reason=str(error))
        except Exception:  # noqa: BLE001 - logged
            _log.exception("agi_failed", script=label(session.script))
        finally:
            # do not wait for a peer that does not read
            writer.transport.abort()
