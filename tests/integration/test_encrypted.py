"""Calls with encrypted audio: with keys in the SDP that arrive over TLS (SDES), and with keys that both ends negotiate (DTLS)."""

import contextlib
import re
import socket
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import pytest_asyncio

from tests.integration import studio
from tests.integration.ground import Ground, kept_later
from tests.integration.service import Service
from tests.lab import Callee, audio, callees
from tests.lab.asterisk import Asterisk
from tests.lab.audio import PRESENT_DBFS, WINDOW_SECONDS, Audio
from tests.lab.distance import Distance
from tests.lab.ports import free_port
from tests.lab.waiting import until
from tests.unit.certificates import certificate

pytestmark = pytest.mark.asyncio(loop_scope="session")

RELOAD_SECONDS = 30.0
FAR_SECONDS = 0.5
STEP_SECONDS = 0.02
#: The length of a prompt without its soft beginning and end, and without the few packets that are lost if the machine stands still. Of a
#: notice that begins before there are keys, 0.2 s are heard.
WHOLE_SECONDS = studio.SECONDS - 0.2

SDES = "media_encryption = sdes"
DTLS = """media_encryption = dtls
dtls_auto_generate_cert = yes
dtls_verify = fingerprint
dtls_setup = actpass
rtcp_mux = yes"""
TLS = """
[{name}]
type = transport
protocol = tls
bind = 127.0.0.1:{port}
cert_file = {file}
priv_key_file = {file}
ca_list_file = {trusted}
verify_server = yes
"""


@dataclass
class Secured:
    """A laboratory whose telephones all encrypt, set up as usual. ``trusted`` and ``strange``: the ports of world's TLS
    servers, one with the certificate that the pbx trusts, and one with another.
    """

    ground: Ground
    plain: Mapping[Asterisk, str]
    transports: Mapping[Asterisk, str]
    trusted: int
    strange: int

    async def by(self, encryption: str, contact: str) -> None:
        """Encrypt in this way, with the trunk at ``contact``."""
        pbx, world = self.ground.lab.pbx, self.ground.lab.world
        for each, endpoint in ((world, "pbx"), (pbx, "trunk")):
            text = self.plain[each].replace("type = endpoint\n", f"type = endpoint\n{encryption}\n", 1)
            text = text.replace(f"contact = sip:127.0.0.1:{world.sip_port}\n", f"contact = {contact}\n")
            (each.home / "etc" / "pjsip.conf").write_text(text + self.transports[each])
            await each.cli("module reload res_pjsip.so")

            async def is_set(each: Asterisk = each, endpoint: str = endpoint) -> bool:
                shown = await each.cli(f"pjsip show endpoint {endpoint}")
                kind = re.search(r"\n media_encryption +: (\w+)", shown)
                return kind is not None and f"media_encryption = {kind[1]}" in encryption

            await until(is_set, within=RELOAD_SECONDS)

    async def by_tls(self, port: int) -> None:
        # an unescaped semicolon begins a comment
        await self.by(SDES, rf"sip:127.0.0.1:{port}\;transport=tls")

    @contextlib.asynccontextmanager
    async def from_afar(self, seconds: float) -> AsyncIterator[None]:
        """Negotiate keys (DTLS) while what the pbx sends is delayed by this time."""
        way = Distance(("127.0.0.1", self.ground.lab.world.sip_port), seconds)
        try:
            await self.by(DTLS, f"sip:127.0.0.1:{await way.open()}")
            yield
        finally:
            way.close()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def secured(ground: Ground, tmp_path_factory: pytest.TempPathFactory) -> Secured:
    pbx, world = ground.lab.pbx, ground.lab.world
    ports = [free_port(socket.SOCK_STREAM, "127.0.0.1") for _ in range(3)]
    files = []
    for name in ("trusted", "strange"):
        files.append(world.directory / f"{name}.pem")
        made = certificate(tmp_path_factory.mktemp(name), "127.0.0.1", days=10)
        files[-1].write_bytes(made.read_bytes())
    trusted, strange = files
    for each in (pbx, world):
        await each.cli("module load res_srtp.so")
    return Secured(
        ground,
        {each: (each.home / "etc" / "pjsip.conf").read_text() for each in (pbx, world)},
        {
            pbx: TLS.format(name="tls", port=ports[0], file=trusted, trusted=trusted),
            world: TLS.format(name="tls", port=ports[1], file=trusted, trusted=trusted)
            + TLS.format(name="strange", port=ports[2], file=strange, trusted=trusted),
        },
        *ports[1:],
    )


def seconds_of(sound: Audio, hz: float, step: float = WINDOW_SECONDS) -> float:
    return float(np.count_nonzero(sound.tone_levels(hz, step) > PRESENT_DBFS)) * step


async def assert_heard_and_recorded(secured: Secured, service: Service, callee: Callee, call_id: str) -> None:
    """The callee heard the whole notice and then the agent, and the recording has both from beginning to end."""
    shown = await kept_later(service, call_id)
    heard = audio.read(await secured.ground.lab.world.heard_by(callee.number))
    assert seconds_of(heard, studio.TONES["recording_opt_out"], STEP_SECONDS) > WHOLE_SECONDS
    assert audio.has(heard, callees.AGENT_TONE_HZ)
    recorded = service.recorded(shown["recordings"][0])
    for tone in (callees.TONE_HZ, callees.AGENT_TONE_HZ):
        assert seconds_of(recorded, tone) > recorded.seconds - 0.4
    assert audio.lacks(recorded, studio.TONES["recording_opt_out"])


async def called(
    secured: Secured, service: Service, callee: Callee
) -> tuple[tuple[str, str], dict[str, Any]]:
    """The outcome of a call with its reason, and what is kept from it."""
    placed = await secured.ground.dial(callee, agent="drops-2")
    outcome, shown = await secured.ground.ended(service, placed)
    return (outcome.outcome, outcome.reason), shown


async def test_a_call_over_tls_with_srtp_lacks_a_voice_or_a_part_of_its_notice(secured: Secured) -> None:
    callee = callees.answers(1)
    await secured.by_tls(secured.trusted)
    async with secured.ground.running() as service:
        outcome, shown = await called(secured, service, callee)
        assert outcome == ("bridged", "")
        await assert_heard_and_recorded(secured, service, callee, shown["id"])
    invite = await secured.ground.lab.world.invite(callee.number)
    assert "SIP/2.0/TLS" in invite
    assert "RTP/SAVP " in invite
    assert "a=crypto:" in invite


async def test_a_trunk_is_called_whose_certificate_is_another_ones(secured: Secured) -> None:
    callee = callees.answers(2)
    await secured.by_tls(secured.strange)
    async with secured.ground.running() as service:
        outcome, shown = await called(secured, service, callee)
    assert (outcome, shown["recordings"]) == (("failed", "congestion"), [])
    assert await secured.ground.lab.world.invites(callee.number) == 0


async def test_a_notice_begins_before_the_keys_to_its_sound_are_agreed_upon(secured: Secured) -> None:
    callee = callees.answers(3)
    async with secured.from_afar(FAR_SECONDS), secured.ground.running() as service:
        outcome, shown = await called(secured, service, callee)
        assert outcome == ("bridged", "")
        await assert_heard_and_recorded(secured, service, callee, shown["id"])


async def test_a_notice_counts_of_which_nothing_has_left_asterisk(secured: Secured) -> None:
    async with secured.from_afar(float("inf")), secured.ground.running() as service:
        outcome, shown = await called(secured, service, callees.answers(4))
    assert (outcome, shown["recordings"]) == (("notice_failed", "not_played"), [])
    assert "call_bridged" not in [each["event"] for each in shown["events"]]
