"""One FastAGI connection: the channel's values, then commands, which Asterisk answers one at a time.

Nothing from the other end is trusted: every read is bounded in bytes, lines and time, and anything that does
not fit the protocol ends the connection. The protocol is the same in Asterisk 13 to 23 (res_agi.c).
"""

import asyncio
import re
import socket
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl

from ccari.errors import AsteriskError
from ccari.gating.variables import at_once

#: Time-out for the whole ``agi_…`` block, which Asterisk sends in one go.
HEAD_SECONDS = 2.0
#: Asterisk sends some 25 lines, and one for each argument.
HEAD_LINES = 200
#: Asterisk's own lines are up to 2 kB.
LINE_BYTES = 8 * 1024
#: Time-out for the reply to a command that neither plays nor waits.
REPLY_SECONDS = 2.0
#: The most lines of one reply, with ``HANGUP``, ``100 Trying`` and the usage text of a 520.
REPLY_LINES = 100

#: Used as SO_LINGER: the connection ends with a reset, and unacknowledged data is dropped.
_RESET = struct.pack("ii", 1, 0)
_HEADER = re.compile(r"(agi_\w+): ?(.*)")
_LINE_END = re.compile(r"[\r\n\0]")
_TO_QUOTE = re.compile(r'[ \t"\\]')
_REPLY = re.compile(r"(\d{3})([ -])(.*)")
_RESULT = re.compile(r"result=(-?[0-9A-Za-z*#]*)(?: (.*))?")


class AgiError(AsteriskError):
    """A FastAGI connection cannot be used."""


class MalformedError(AgiError):
    """The other end does not speak the protocol, or not in time."""


class GoneError(AgiError):
    """The channel has hung up, or the connection was closed."""


class CommandRefusedError(AgiError):
    """Asterisk does not know the command, or refuses its arguments."""


@dataclass(frozen=True, slots=True)
class Reply:
    """``result``: as Asterisk sent it. ``data``: what follows it, such as ``(value)``, ``(timeout)`` or ``endpos=800``."""

    result: str
    data: str = ""


class Session:
    """``head``: the ``agi_…`` values, once :meth:`begin` has read them. ``hung_up``: Asterisk has reported a hang-up."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._received = bytearray()
        self.head: dict[str, str] = {}
        self.hung_up = False

    @property
    def script(self) -> str:
        return self.head.get("agi_network_script", "").partition("?")[0].strip("/")

    @property
    def query(self) -> Mapping[str, str]:
        """The query of the address, as in ``gate?agi=1``. If a name comes twice, the last value counts."""
        return dict(
            parse_qsl(self.head.get("agi_network_script", "").partition("?")[2], keep_blank_values=True)
        )

    @property
    def arguments(self) -> tuple[str, ...]:
        """The arguments after the address, which Asterisk has split at commas."""
        arguments: list[str] = []
        while (value := self.head.get(f"agi_arg_{len(arguments) + 1}")) is not None:
            arguments.append(value)
        return tuple(arguments)

    async def begin(self) -> None:
        """Read the channel's values into ``head``.

        Raises
        ------
        AgiError
            If they are malformed, too long or too slow. A repeated name is refused: somebody may have injected it with a line break in a value.
        """
        try:
            async with asyncio.timeout(HEAD_SECONDS):
                for _ in range(HEAD_LINES):
                    line = await self._line()
                    if not line:
                        break
                    header = _HEADER.fullmatch(line)
                    if header is None or header[1] in self.head:
                        raise MalformedError("a line is not a value of the channel, or is repeated")
                    self.head[header[1]] = header[2]
                else:
                    raise MalformedError(f"more than {HEAD_LINES} values of the channel")
        except TimeoutError:
            raise MalformedError(
                f"no complete list of the channel's values within {HEAD_SECONDS} s"
            ) from None
        if "agi_request" not in self.head:
            raise MalformedError("no agi_request")

    async def command(self, *words: str, seconds: float = REPLY_SECONDS) -> Reply:
        """Send one command, and wait at most ``seconds`` for its reply. ``words`` are quoted where necessary.

        Raises
        ------
        GoneError
            If the channel has hung up. Some commands work even then.
        CommandRefusedError
            If Asterisk refuses the command (510) or its arguments (520).
        MalformedError
            If no reply, or a malformed one, came in time. The connection must then not be used any more.
        """
        line = " ".join(map(_quoted, words))
        try:
            async with asyncio.timeout(seconds):
                self._writer.write(f"{line}\n".encode())
                await self._writer.drain()
                return await self._reply()
        except TimeoutError:
            raise MalformedError(f"no reply to {words[0]} within {seconds:g} s") from None
        except ConnectionError:
            raise GoneError("the connection was closed") from None

    @property
    def peer(self) -> str:
        """The address that this Asterisk connected from."""
        return str(self._writer.get_extra_info("peername", ("",))[0])

    async def set_variable(self, name: str, value: str) -> None:
        if (await self.command("SET", "VARIABLE", name, value)).result != "1":
            raise CommandRefusedError(f"{name} was not set")

    async def set_variables(self, values: Mapping[str, str]) -> None:
        """Set variables in order with one command, which saves a round trip for each.

        If :meth:`sets_several` is False for this Asterisk, it sets none of them, without an error.

        Raises
        ------
        AgiError
            As :meth:`set_variable`, and if a value is more than one word.
        """
        several = at_once(values)
        if several is None:
            raise AgiError("a value has more than one word")
        await self.set_variable(*several)

    async def sets_several(self) -> bool:
        """Whether this Asterisk has ARRAY(). Tests it, because Asterisk reports success even for a function it lacks."""
        await self.set_variables({"CCARI_ARRAY": "yes"})
        return await self.variable("CCARI_ARRAY") == "yes"

    async def variable(self, name: str) -> str | None:
        """The value; None if the channel has no such variable."""
        reply = await self.command("GET", "VARIABLE", name)
        return reply.data[1:-1] if reply.result == "1" and reply.data.startswith("(") else None

    def end(self) -> None:
        """Let the dialplan go on."""
        self._writer.close()

    def give_up(self) -> None:
        """Drop the connection, with whatever the kernel has not sent yet: a verdict that the network delays
        would be out of date.
        """
        if (connection := self._writer.get_extra_info("socket")) is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self._writer.transport.abort()

    async def _reply(self) -> Reply:
        for _ in range(REPLY_LINES):
            line = await self._line()
            if line.startswith("HANGUP"):
                # HANGUP may come at any moment; the reply to the command still follows
                self.hung_up = True
                continue
            reply = _REPLY.fullmatch(line)
            if reply is None:
                raise MalformedError("a line is not a reply")
            code, mark, text = reply.groups()
            match code:
                case "100":
                    continue
                case "200":
                    result = _RESULT.fullmatch(text)
                    if result is None:
                        raise MalformedError("a reply has no result")
                    return Reply(result[1], result[2] or "")
                case "511":
                    self.hung_up = True
                    raise GoneError("the channel has hung up")
                case "520" if mark == "-":
                    await self._skip_usage()
                    raise CommandRefusedError("invalid arguments")
                case "510" | "520":
                    raise CommandRefusedError("invalid command or arguments")
                case _:
                    raise MalformedError(f"an unknown reply {code}")
        raise MalformedError(f"more than {REPLY_LINES} lines and no reply")

    async def _skip_usage(self) -> None:
        for _ in range(REPLY_LINES):
            if (await self._line()).startswith("520 "):
                return
        raise MalformedError(f"more than {REPLY_LINES} lines of usage")

    async def _line(self) -> str:
        while (end := self._received.find(b"\n", 0, LINE_BYTES)) < 0:
            if len(self._received) >= LINE_BYTES:
                raise MalformedError(f"a line of more than {LINE_BYTES} bytes")
            try:
                # read whatever has come, and split it into lines: asking the reader for each line takes longer
                more = await self._reader.read(LINE_BYTES)
            except ConnectionError:
                more = b""
            if not more:
                raise GoneError("the connection was closed")
            self._received += more
        line = self._received[:end].decode("utf-8", "replace").rstrip("\r\n")
        del self._received[: end + 1]
        return line


def _quoted(word: str) -> str:
    """A word of a command, quoted if necessary. A word that would end the line is refused."""
    if _LINE_END.search(word):
        raise AgiError("a line break cannot be sent to Asterisk")
    if word and not _TO_QUOTE.search(word):
        return word
    return '"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"'
