"""The other end of a FastAGI connection, which can misbehave as no Asterisk can be made to."""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field

SECONDS = 30.0
#: Sets several variables at once, as Asterisk's function of that name does.
_ARRAY = re.compile(r"ARRAY\((.*)\)")


@dataclass
class Caller:
    """A channel in ``AGI()``. ``variables``: its own; ``said``: every line sent to it. ``has_array``: func_strings is
    loaded.
    """

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    variables: dict[str, str] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)
    played: list[str] = field(default_factory=list)
    has_array: bool = True

    def say(self, text: str | bytes) -> None:
        self.writer.write(text if isinstance(text, bytes) else text.encode())

    def enter(self, script: str, *arguments: str, **values: str) -> None:
        """Send what Asterisk sends first."""
        head = {
            "agi_network": "yes", "agi_network_script": script, "agi_request": f"agi://127.0.0.1/{script}",
            "agi_channel": "PJSIP/anna-00000012", "agi_callerid": "unknown", "agi_callingpres": "0",
            **values, **{f"agi_arg_{place}": value for place, value in enumerate(arguments, 1)},
        }  # fmt: skip
        self.say("".join(f"{name}: {value}\n" for name, value in head.items()) + "\n")

    async def hear(self) -> str | None:
        """The next line; None at the end."""
        async with asyncio.timeout(SECONDS):
            with contextlib.suppress(ConnectionError):
                line = (await self.reader.readline()).decode()
                if line:
                    self.said.append(line.rstrip("\n"))
                    return self.said[-1]
        return None

    async def obey(self, keys: Mapping[str, Sequence[str]] | None = None) -> None:
        """Obey as Asterisk does, until the end. ``keys``: those pressed during each sound, or in ``wait``, one at a
        time.
        """
        pressed = {name: list(each) for name, each in (keys or {}).items()}
        while (line := await self.hear()) is not None:
            self.say(self._reply(line, pressed))

    def _reply(self, line: str, pressed: dict[str, list[str]]) -> str:
        match line.replace('"', "").split(" "):
            case ["SET", "VARIABLE", name, *value] if several := _ARRAY.fullmatch(name):
                if not self.has_array:
                    # a function that does not exist is an error in Asterisk's log, and nothing to the one who sets it
                    return "200 result=1\n"
                values = zip(several[1].split(","), " ".join(value).split(","), strict=True)
                self.variables |= {each.lstrip("_"): told for each, told in values}
                return "200 result=1\n"
            case ["SET", "VARIABLE", name, *value]:
                self.variables[name.lstrip("_")] = " ".join(value)
                return "200 result=1\n"
            case ["GET", "VARIABLE", name]:
                found = self.variables.get(name)
                return "200 result=0\n" if found is None else f"200 result=1 ({found})\n"
            case ["STREAM", "FILE", sound, _]:
                self.played.append(sound)
                return f"200 result={_next(pressed, sound)} endpos=8000\n"
            case ["WAIT", "FOR", "DIGIT", _]:
                return f"200 result={_next(pressed, 'wait')}\n"
            case ["ANSWER"]:
                return "200 result=0\n"
            case _:
                return "510 Invalid or unknown command\n"

    async def is_cut_off(self) -> None:
        """Read everything, and check that the connection ends."""
        while await self.hear() is not None:
            pass

    @property
    def verdict(self) -> str:
        return self.variables.get("CCARI_VERDICT", "none")


def _next(pressed: dict[str, list[str]], what: str) -> int:
    keys = pressed.get(what)
    return ord(keys.pop(0)) if keys else 0


@contextlib.asynccontextmanager
async def caller(port: int, address: str = "127.0.0.1") -> AsyncIterator[Caller]:
    """``address``: the one it connects from."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(address, 0))
    try:
        yield Caller(reader, writer)
    finally:
        writer.transport.abort()
