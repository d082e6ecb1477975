"""Checks the addresses that the service listens on: ccari answers there, the port is free, or another program has it."""

import asyncio
import socket
from collections.abc import Awaitable, Callable

import aiohttp
import orjson

from ccari.agi.alive import OTHERS
from ccari.cli.doctor.findings import Finding, State, fault, in_daemon_thread, ok
from ccari.config import OFF, Settings
from ccari.errors import why

#: How long to wait for an answer. A working service answers within milliseconds, unless the machine swaps.
ANSWER_SECONDS = 5.0
#: The address for reaching a service that listens on all addresses.
_REACHED_AT = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - looked for, not listened on
_HUNG = "see the service's log; if it hangs, restart it"


async def http(settings: Settings) -> list[Finding]:
    return [await _address("http", settings.http.listen, _answers_http)]


async def ccari_answers(settings: Settings) -> bool:
    """Whether a ccari answers on ``[http] listen``."""
    host, _, port = settings.http.listen.rpartition(":")
    host = host.strip("[]")
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            return (await _first_answer(_answers_http, _REACHED_AT.get(host, host), int(port))) != _STRANGER
    except OSError:
        return False


async def fastagi(settings: Settings) -> list[Finding]:
    if settings.agi.listen == OFF:
        return [ok("fastagi", "turned off by [agi] listen")]
    return [await _address("agi", settings.agi.listen, _answers_agi)]


async def _address(section: str, listen: str, answers: Callable[[str, int], Awaitable[str]]) -> Finding:
    check = {"agi": "fastagi"}.get(section, section)
    host, _, port = listen.rpartition(":")
    host = host.strip("[]")
    taken = f"stop the program that listens there (ss -ltnp 'sport = :{port}'), or set [{section}] listen to another port"
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            problem = await _first_answer(answers, _REACHED_AT.get(host, host), int(port))
    except TimeoutError:
        # if the machine stalled, the time ran out before the doctor asked anybody
        if (unheard := await _free(check, section, listen, host, int(port), taken)).state is State.OK:
            return unheard
        return fault(
            check, f"a program listens on {listen} but does not answer within {ANSWER_SECONDS:.0f} s", _HUNG
        )
    except ConnectionRefusedError:
        return await _free(check, section, listen, host, int(port), taken)
    except OSError as error:
        return fault(check, f"{listen} cannot be reached: {why(error)}", f"check [{section}] listen")
    if problem == _STRANGER:
        return fault(check, f"the program that answers on {listen} is not ccari", taken)
    if problem:
        return fault(check, f"ccari answers on {listen}, but cannot take calls: {problem}", _HUNG)
    return ok(check, f"ccari answers on {listen}")


async def _first_answer(answers: Callable[[str, int], Awaitable[str]], host: str, port: int) -> str:
    """The answer from the first of the host's addresses where anything listens. Raises OSError if there is none."""
    refusal: OSError = ConnectionRefusedError()
    for *_, address in await in_daemon_thread(
        lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    ):
        try:
            return await answers(str(address[0]), port)
        except ConnectionRefusedError as error:
            refusal = error
    raise refusal


async def _free(check: str, section: str, listen: str, host: str, port: int, taken: str) -> Finding:
    """The finding if nothing listens. Tests whether ccari could, by binding the port for a moment, as a server does."""
    try:
        await in_daemon_thread(lambda: bind(host, port))
    except OSError as error:
        return fault(check, f"ccari cannot listen on {listen}: {why(error)}",
                     f"check the address of [{section}] listen; or {taken}")  # fmt: skip
    return ok(check, f"{listen} is free, and no service is running: ccari serve")


def bind(host: str, port: int) -> None:
    """Bind the port for a moment, as a server does. Raises OSError."""
    for family, kind, protocol, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            probe.bind(address)


_STRANGER = "stranger"
_READY = {"asterisk": "Asterisk", "database": "the database"}


async def _answers_http(host: str, port: int) -> str:
    """The parts that ccari reports as down, in words, empty if none; :data:`_STRANGER` if it is not ccari. Raises OSError."""
    where = f"[{host}]" if ":" in host else host
    try:
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True)) as session:
            async with session.get(f"http://{where}:{port}/healthz") as reply:
                if orjson.loads(await reply.read()) != {"status": "alive"}:
                    return _STRANGER
            async with session.get(f"http://{where}:{port}/readyz") as reply:
                ready = orjson.loads(await reply.read())
                return ", ".join(
                    f"{_READY[name]} is not available" for name in _READY if ready.get(name) == "away"
                )
    except aiohttp.ClientConnectorError as error:
        raise error.os_error from None
    except (aiohttp.ClientError, ValueError, AttributeError):
        return _STRANGER


async def _answers_agi(host: str, port: int) -> str:
    """Like :func:`_answers_http`, with the script ``alive``, which only says that ccari is there."""
    reader, writer = await asyncio.open_connection(host, port)
    try:
        writer.write(
            f"agi_network: yes\nagi_network_script: alive?agi={OTHERS}&stasis={OTHERS}\nagi_request: agi://doctor/alive\n\n".encode()
        )
        command = await reader.readline()
        writer.write(b"200 result=1\n")
        await writer.drain()
    except (ConnectionError, ValueError):
        # the connection was cut, or the line is too long
        command = b""
    finally:
        writer.transport.abort()
    return "" if command.startswith(b"SET VARIABLE ") and b"CCARI_ALIVE" in command else _STRANGER
