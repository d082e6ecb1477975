"""Any bytes at the FastAGI port: no traceback, no ALLOW that the gate did not give, and always an end."""

import asyncio
import contextlib

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from ccari.agi import menu, server, session
from ccari.agi.desk import Desk
from ccari.policy.suppression import Reason
from ccari.store.opened import Store
from tests.unit.agi.served import ask, serving
from tests.unit.store.made import NUMBER

#: The time limits of a visit, in these tests; it must end well before SECONDS. The header of an honest one must arrive
#: whole within HEAD_SECONDS, beside all the others.
SOON_SECONDS, HEAD_SECONDS, SECONDS = 0.3, 3.0, 20.0
EXAMPLES, SIDE_BY_SIDE = 250, 25
DIGITS = NUMBER.e164.removeprefix("+")

_values = st.one_of(
    st.binary(max_size=60),
    st.sampled_from(
        [DIGITS.encode(), NUMBER.e164.encode(), b"renewals", b"gate", b"rights", b"alive", b"", b"a,b", b'"', b"\\", b"${FILE(x)}",
         b"\xff\xfe", b"\x00", b"\r", b"x" * 9000, b"gate?a=b", b"../gate", DIGITS.encode() + b"@evil", b"\xe2\x80\xae1",
         b"PJSIP/anna-00000012", b"-", b"/" * 50, b"NaN", b"9" * 400]
    ),
)  # fmt: skip
_names = st.sampled_from(
    [b"agi_network_script", b"agi_request", b"agi_channel", b"agi_callerid", b"agi_callingpres", b"agi_arg_1", b"agi_arg_2",
     b"agi_arg_3", b"agi_", b"AGI_ARG_1", b"x", b"agi_calleridname", b"200 result=1", b"HANGUP"]
)  # fmt: skip
_head = st.lists(st.tuples(_names, _values), max_size=8).map(
    lambda rows: b"".join(b"%b: %b\n" % row for row in rows)
)
#: A valid header for a barred number, so that what follows is read; or anything.
_sound = st.sampled_from([b"gate", b"rights", b"alive", b"nonsense"]).map(
    lambda script: b"agi_network_script: %b\nagi_request: agi://x/%b\nagi_channel: PJSIP/anna-1\nagi_callerid: %b\n"
    b"agi_callingpres: 0\nagi_arg_1: %b\n%b" % (
        script, script, DIGITS.encode(), b"renewals" if script == b"rights" else DIGITS.encode(),
        b"" if script == b"rights" else b"agi_arg_2: renewals\n",
    )
)  # fmt: skip
_replies = st.lists(
    st.one_of(
        st.binary(max_size=40),
        st.sampled_from(
            [b"200 result=1\n", b"200 result=1\n", b"200 result=0\n", b"200 result=-1\n", b"HANGUP\n", b"100 Trying\n",
             b"510 Invalid\n", b"511 Dead\n", b"520-Invalid\nusage\n520 End\n", b"520-Invalid\n", b"200 result=55\n",
             b"200 result=1 (" + DIGITS.encode() + b")\n", b"200 result=\n", b"200 result=999999999999\n", b"\n", b"999 x\n",
             b"200 result=\xd9\xa3\n", b"200 result=1 (a\r)\n", b"x" * 9000 + b"\n"]
        ),
    ),
    max_size=12,
)  # fmt: skip
#: Up to the keys menu, whose first sound is answered next.
_RIGHTS = (
    b"agi_network_script: rights\nagi_request: agi://x/rights\nagi_channel: PJSIP/anna-1\nagi_callingpres: 0\n"
    b"agi_arg_1: renewals\nagi_callerid: " + DIGITS.encode() + b"\n"
)
_obedient = st.integers(0, 6).map(lambda count: [b"200 result=1\n"] * count)
_visits = st.one_of(
    st.tuples(
        st.one_of(_sound, _head, st.binary(max_size=80)), st.sampled_from([b"\n", b"\r\n\r\n", b""]), _replies
    ),
    st.tuples(_sound, st.just(b"\n"), st.builds(lambda first, then: first + then, _obedient, _replies)),
)


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    for module, name in ((menu, "KEY_SECONDS"), (menu, "MENU_SECONDS"), (menu, "PLAYBACK_GRACE_SECONDS"),
                         (server, "DRAIN_SECONDS")):  # fmt: skip
        monkeypatch.setattr(module, name, SOON_SECONDS)
    monkeypatch.setattr(session, "HEAD_SECONDS", HEAD_SECONDS)


async def visit(port: int, sent: bytes) -> bytes:
    """Everything that the server says until it ends the connection, as it must."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        async with asyncio.timeout(SECONDS):
            with contextlib.suppress(ConnectionError):
                writer.write(sent)
                return await reader.read()
    finally:
        writer.transport.abort()
    return b""


async def test_invariant_1_bytes_at_the_gate_give_allow_or_never_end_or_disturb_another_visit(
    desk: Desk, store: Store, capfd: pytest.CaptureFixture[str]
) -> None:
    await store.suppressions.add("acme", desk.secrets.digests("acme", NUMBER), Reason.ERASURE, "cli:anna", "")
    drawn: list[bytes] = []

    @settings(max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(_visits)
    @example((_RIGHTS, b"\n", [*[b"200 result=1\n"] * 4, b"200 result=999999999999\n"]))
    @example((_RIGHTS, b"\n", [*[b"200 result=1\n"] * 4, b"200 result=1114112\n"]))
    @example((_RIGHTS, b"\n", [*[b"200 result=1\n"] * 4, b"200 result=" + b"9" * 5000 + b"\n"]))
    @example((_RIGHTS.replace(b"pres: 0", b"pres: " + b"9" * 5000), b"\n", [b"200 result=1\n"] * 4))
    def draw(made: tuple[bytes, bytes, list[bytes]]) -> None:
        head, end, replies = made
        drawn.append(head + end + b"".join(replies))

    await asyncio.to_thread(draw)
    side_by_side = asyncio.Semaphore(SIDE_BY_SIDE)
    with capture_logs() as logs:
        async with serving(desk) as port:

            async def one(sent: bytes) -> bytes:
                async with side_by_side:
                    return await visit(port, sent)

            disturbed = asyncio.create_task(_honest(port))
            said = await asyncio.gather(*map(one, drawn))
            assert await disturbed == {"suppressed_erasure"}
    assert not [(sent, each) for sent, each in zip(drawn, said, strict=True) if b"ALLOW" in each]
    # some must get as far as the verdict, or the test would prove nothing
    assert any(b"suppressed_erasure" in each for each in said)
    assert not [each for each in logs if "exc_info" in each or each["log_level"] in {"error", "critical"}]
    told = capfd.readouterr()
    for text in (told.out, told.err, str(logs)):
        assert "Traceback" not in text
        assert DIGITS not in text


async def _honest(port: int) -> set[str]:
    """The reason why others are denied meanwhile."""
    return {(await ask(port, NUMBER.e164, "renewals")).variables["CCARI_REASON"] for _ in range(10)}
