"""One FastAGI connection with an Asterisk that is slow, garrulous, hung up or not an Asterisk at all."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import pytest_asyncio

from ccari.agi import session as protocol
from ccari.agi.session import AgiError, CommandRefusedError, GoneError, MalformedError, Reply, Session
from tests.unit.agi.asterisk import Caller


@pytest_asyncio.fixture
async def meet() -> AsyncIterator[Callable[[], Awaitable[tuple[Session, Caller]]]]:
    """Gives both ends of a connection over a real socket."""
    met: asyncio.Queue[Session] = asyncio.Queue()
    writers: list[asyncio.StreamWriter] = []

    def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        met.put_nowait(Session(reader, writer))

    server = await asyncio.start_server(take, "127.0.0.1", 0, limit=protocol.LINE_BYTES)

    async def meet_() -> tuple[Session, Caller]:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname()[:2])
        writers.append(writer)
        return await met.get(), Caller(reader, writer)

    yield meet_
    for writer in writers:
        writer.transport.abort()
    server.close()
    await server.wait_closed()


Meet = Callable[[], Awaitable[tuple[Session, Caller]]]


async def test_the_values_of_a_channel_are_read_amiss(meet: Meet) -> None:
    session, asterisk = await meet()
    asterisk.enter("gate", "+48600100001", "renewals", agi_callerid="")
    await session.begin()
    assert (session.script, session.arguments) == ("gate", ("+48600100001", "renewals"))
    assert session.head["agi_callerid"] == ""


@pytest.mark.parametrize(
    "sent",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"agi_request: a\nagi_arg_1: 1\nagi_arg_1: 2\n\n",
        b"agi_arg_1: 1\n\n",
        b"\n",
        b"\xff\xfe\x00\n",
        b"agi_request: " + b"x" * 100_000 + b"\n\n",
        b"".join(b"agi_arg_%d: x\n" % n for n in range(1000)),
    ],
    ids=["HTTP", "a name twice", "no request", "nothing", "bytes", "a huge line", "lines without end"],
)
async def test_what_is_no_channel_is_taken_for_one(meet: Meet, sent: bytes) -> None:
    session, asterisk = await meet()
    asterisk.say(sent)
    with pytest.raises(MalformedError):
        await session.begin()


@pytest.mark.parametrize(
    "sent", ["", "agi_request: a\n", "agi_request: a"], ids=["nothing", "half", "half a line"]
)
async def test_somebody_who_says_nothing_is_waited_for(
    meet: Meet, monkeypatch: pytest.MonkeyPatch, sent: str
) -> None:
    monkeypatch.setattr(protocol, "HEAD_SECONDS", 0.05)
    session, asterisk = await meet()
    asterisk.say(sent)
    with pytest.raises(MalformedError, match="no complete list of the channel's values"):
        await session.begin()


@pytest.mark.parametrize(
    ("sent", "reply"),
    [
        ("200 result=1\n", Reply("1")),
        ("200 result=1 (a b) c)\n", Reply("1", "(a b) c)")),
        ("HANGUP\n200 result=0\n", Reply("0")),
        ("100 Trying\n200 result=-1 endpos=0\n", Reply("-1", "endpos=0")),
        ("200 result= (timeout)\n", Reply("", "(timeout)")),
    ],
    ids=["plain", "a value with brackets", "hung up meanwhile", "trying", "timed out"],
)
async def test_a_reply_is_read_amiss(meet: Meet, sent: str, reply: Reply) -> None:
    session, asterisk = await meet()
    asterisk.say(sent)
    assert await session.command("NOOP") == reply
    assert session.hung_up is ("HANGUP" in sent)


@pytest.mark.parametrize(
    ("sent", "error"),
    [
        ("510 Invalid or unknown command\n", CommandRefusedError),
        ("511 Command Not Permitted on a dead channel or intercept routine\n", GoneError),
        ("520-Invalid command syntax.  Proper usage follows:\nUsage: X\n 520 no\n520 End of proper usage.\n", CommandRefusedError),
        ("520 Invalid command syntax.  Proper usage not available.\n", CommandRefusedError),
        ("200 OK\n", MalformedError),
        ("999 result=1\n", MalformedError),
        ("ALLOW\n", MalformedError),
        ("HANGUP\n" * 1000, MalformedError),
        ("520-" + "x\n" * 1000, MalformedError),
        ("x" * 100_000 + "\n", MalformedError),
    ],
    ids=["unknown command", "dead channel", "usage", "no usage", "no result", "unknown code", "no code",
         "hang-ups without end", "usage without end", "a huge line"],
)  # fmt: skip
async def test_what_is_no_good_reply_is_taken_for_one(meet: Meet, sent: str, error: type[AgiError]) -> None:
    session, asterisk = await meet()
    asterisk.say(sent)
    with pytest.raises(error):
        await session.command("NOOP")


async def test_the_reply_after_a_usage_is_taken_for_that_of_the_next_command(meet: Meet) -> None:
    session, asterisk = await meet()
    asterisk.say("520-Invalid command syntax.\nUsage\n520 End of proper usage.\n200 result=7\n")
    with pytest.raises(CommandRefusedError):
        await session.command("NOOP")
    assert await session.command("NOOP") == Reply("7")


async def test_an_asterisk_that_does_not_reply_holds_a_session(meet: Meet) -> None:
    session, _ = await meet()
    with pytest.raises(MalformedError, match="no reply to NOOP"):
        await session.command("NOOP", seconds=0.05)


async def test_an_asterisk_that_goes_away_holds_a_session(meet: Meet) -> None:
    session, asterisk = await meet()
    asterisk.writer.transport.abort()
    with pytest.raises(GoneError):
        await session.command("NOOP")


@pytest.mark.parametrize("value", ["a\nb", "a\rb", "a\0b"], ids=["line feed", "carriage return", "null"])
async def test_a_value_ends_a_command_and_begins_another(meet: Meet, value: str) -> None:
    session, asterisk = await meet()
    with pytest.raises(AgiError):
        await session.set_variable("CCARI_REASON", value)
    asterisk.say("200 result=1\n")
    await session.command("NOOP")
    assert await asterisk.hear() == "NOOP"


@pytest.mark.parametrize("value", ["a,b", '"', "a b", "(a", "a\\", "a\n", "ż"])
async def test_a_value_of_several_is_taken_for_two_or_joined_to_the_next(meet: Meet, value: str) -> None:
    session, asterisk = await meet()
    with pytest.raises(AgiError):
        await session.set_variables({"CCARI_REASON": value, "CCARI_VERDICT": "ALLOW"})
    asterisk.say("200 result=1\n")
    await session.set_variables({"CCARI_REASON": "", "__CCARI_NUMBER": "+1", "CCARI_VERDICT": "a_b-1"})
    assert await asterisk.hear() == "SET VARIABLE ARRAY(CCARI_REASON,__CCARI_NUMBER,CCARI_VERDICT) ,+1,a_b-1"


async def test_a_value_is_said_as_several_words(meet: Meet) -> None:
    session, asterisk = await meet()
    asterisk.say("200 result=1\n")
    await session.set_variable("CCARI_REASON", 'a "b" \\c')
    assert await asterisk.hear() == r'SET VARIABLE CCARI_REASON "a \"b\" \\c"'
