"""One FastAGI connection: what Asterisk says about the channel, and commands that it answers one at a time.

Nothing from the other end is trusted: every read is bounded in bytes, lines and time, and what does not fit the
protocol ends the connection. Asterisk 13 to 23 speak it alike (res_agi.c).
"""

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass

from ccari.errors import AsteriskError
from ccari.gating.variables import at_once

#: For the whole ``agi_…`` block, which Asterisk sends in one go.
HEAD_SECONDS = 2.0
#: Asterisk sends some 25 lines, and one for each argument.
HEAD_LINES = 200
#: Asterisk's own lines are up to 2 kB.
LINE_BYTES = 8 * 1024
#: For a command that plays and waits for nothing.
REPLY_SECONDS = 2.0
#: ``HANGUP``, ``100 Trying``, the usage of a 520: lines that may come before the end of one reply.
REPLY_LINES = 100

_HEADER = re.compile(r"(agi_\w+): ?(.*)")
_LINE_END = re.compile(r"[\r\n\0]")
_TO_QUOTE = re.compile(r'[ \t"\\]')
_REPLY = re.compile(r"(\d{3})([ -])(.*)")
_RESULT = re.compile(r"result=(-?[0-9A-Za-z*#]*)(?: (.*))?")


class AgiError(AsteriskError):
    """The other end of a FastAGI connection is no use."""


class MalformedError(AgiError):
    """It does not speak the protocol, or not in time."""


class GoneError(AgiError):
    """The channel has hung up, or the connection was closed."""


class RefusedError(AgiError):
    """Asterisk does not know the command, or does not take its arguments."""


@dataclass(frozen=True, slots=True)
class Reply:
    """``result`` as it came; ``data`` is what follows it: ``(value)``, ``(timeout)``, ``endpos=800``."""

    result: str
    data: str = ""


class Session:
    """``head`` holds the ``agi_…`` values once :meth:`begin` has read them."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._come = bytearray()
        self.head: dict[str, str] = {}
        self.hung_up = False

    @property
    def script(self) -> str:
        return self.head.get("agi_network_script", "").partition("?")[0].strip("/")

    @property
    def arguments(self) -> tuple[str, ...]:
        """What follows the address in the dialplan; Asterisk has split it at commas."""
        found: list[str] = []
        while (value := self.head.get(f"agi_arg_{len(found) + 1}")) is not None:
            found.append(value)
        return tuple(found)

    async def begin(self) -> None:
        """Read what Asterisk says of the channel.

        Raises
        ------
        AgiError
            If it is not such a block, too long, or too slow. A name that comes twice is refused: a value with a line
            break in it could be read as two.
        """
        try:
            async with asyncio.timeout(HEAD_SECONDS):
                for _ in range(HEAD_LINES):
                    line = await self._line()
                    if not line:
                        break
                    found = _HEADER.fullmatch(line)
                    if found is None or found[1] in self.head:
                        raise MalformedError("a line is no value of a channel, or comes twice")
                    self.head[found[1]] = found[2]
                else:
                    raise MalformedError(f"more than {HEAD_LINES} values")
        except TimeoutError:
            raise MalformedError(f"no values of a channel within {HEAD_SECONDS} s") from None
        if "agi_request" not in self.head:
            raise MalformedError("no agi_request")

    async def command(self, *words: str, seconds: float = REPLY_SECONDS) -> Reply:
        """Have Asterisk do one thing, and wait at most so many seconds for it. ``words`` are quoted where they must be.

        Raises
        ------
        GoneError
            If the channel has hung up, which only some commands outlive.
        RefusedError
            If Asterisk takes no such command (510) or arguments (520).
        MalformedError
            If no reply, or none of the protocol, came in time: then nothing more may be said over this connection.
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
        """The address that the Asterisk came from."""
        return str(self._writer.get_extra_info("peername", ("",))[0])

    async def set_variable(self, name: str, value: str) -> None:
        if (await self.command("SET", "VARIABLE", name, value)).result != "1":
            raise RefusedError(f"{name} was not set")

    async def set_variables(self, values: Mapping[str, str]) -> None:
        """Set them in their order by one command, where each would be a round trip: all of them, or where
        :meth:`sets_several` is not so none, which Asterisk does not tell.

        Raises
        ------
        AgiError
            As :meth:`set_variable`, and for a value that is more than a word.
        """
        several = at_once(values)
        if several is None:
            raise AgiError("a value is more than a word")
        await self.set_variable(*several)

    async def sets_several(self) -> bool:
        """Whether this Asterisk has ARRAY(): it says of a function that is not there that it was set."""
        await self.set_variables({"CCARI_ARRAY": "yes"})
        return await self.variable("CCARI_ARRAY") == "yes"

    async def variable(self, name: str) -> str | None:
        """The value; None if the channel has no such variable."""
        reply = await self.command("GET", "VARIABLE", name)
        return reply.data[1:-1] if reply.result == "1" and reply.data.startswith("(") else None

    def end(self) -> None:
        """Let the dialplan go on."""
        self._writer.close()

    async def _reply(self) -> Reply:
        for _ in range(REPLY_LINES):
            line = await self._line()
            if line.startswith("HANGUP"):
                # inline, at any moment; the reply to the command still follows
                self.hung_up = True
                continue
            found = _REPLY.fullmatch(line)
            if found is None:
                raise MalformedError("a line is no reply")
            code, mark, text = found.groups()
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
                    await self._usage()
                    raise RefusedError("invalid arguments")
                case "510" | "520":
                    raise RefusedError("invalid command or arguments")
                case _:
                    raise MalformedError(f"an unknown reply {code}")
        raise MalformedError(f"more than {REPLY_LINES} lines and no reply")

    async def _usage(self) -> None:
        for _ in range(REPLY_LINES):
            if (await self._line()).startswith("520 "):
                return
        raise MalformedError(f"more than {REPLY_LINES} lines of usage")

    async def _line(self) -> str:
        while (end := self._come.find(b"\n", 0, LINE_BYTES)) < 0:
            if len(self._come) >= LINE_BYTES:
                raise MalformedError(f"a line of more than {LINE_BYTES} bytes")
            try:
                # all that there is, in which the lines are found: to ask the reader for each takes longer than to read it
                more = await self._reader.read(LINE_BYTES)
            except ConnectionError:
                more = b""
            if not more:
                raise GoneError("the connection was closed")
            self._come += more
        line = self._come[:end].decode("utf-8", "replace").rstrip("\r\n")
        del self._come[: end + 1]
        return line


def _quoted(word: str) -> str:
    """A word of a command; whatever could end its line is refused."""
    if _LINE_END.search(word):
        raise AgiError("a line break cannot be said to Asterisk")
    if word and not _TO_QUOTE.search(word):
        return word
    return '"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"'
