"""The lines in docs/operations.md that harden Asterisk: it accepts them, and calls go through."""

import re
from http import HTTPStatus
from pathlib import Path

import aiohttp
import pytest

from tests.integration.ground import Ground
from tests.integration.test_injection import Phone
from tests.lab import callees
from tests.lab.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="session")

OPERATIONS = Path(__file__).parents[2] / "docs" / "operations.md"
RELOAD_SECONDS = 30.0
ANSWER_SECONDS = 10.0
#: SIP's answer to an admitted caller who dials one digit, if every extension is longer.
ADDRESS_INCOMPLETE = 484


def said(line: str) -> str:
    """A line that the page says to write."""
    assert re.search(rf"^{re.escape(line)}$", OPERATIONS.read_text(), re.MULTILINE), line
    return line


async def stranger(port: int, name: str) -> int | None:
    """The status that a caller receives who calls as ``name`` from an address that Asterisk does not know."""
    phone = Phone("127.0.0.3", port)
    try:
        phone.invite("0", "", {}, user=name)
        await until(lambda: phone.code("INVITE") is not None, within=ANSWER_SECONDS)
        return phone.code("INVITE")
    finally:
        phone.hang_up()


async def test_asterisk_refuses_what_operations_say_or_no_call_goes_through_afterwards(
    ground: Ground,
) -> None:
    pbx = ground.lab.pbx
    etc, password = pbx.home / "etc", pbx.ari_password_file.read_text().strip()
    (etc / "ari.conf").write_text(
        "\n".join((said("[general]"), said("enabled = yes"), said("allowed_origins ="), f"[{pbx.ari_user}]",
                   said("type = user"), said("password_format = plain"), f"password = {password}",
                   said("read_only = no"), ""))
    )  # fmt: skip
    http = etc / "http.conf"
    http.write_text(f"{http.read_text().rstrip()}\n{said('enable_static = no')}\n")
    pjsip = etc / "pjsip.conf"
    trunk = "[trunk](lab)\n"
    assert trunk in pjsip.read_text()
    # the laboratory's own setting; without it, Asterisk admits anyone who calls as "trunk" without asking for a
    # password
    known = "identify_by = ip\n"
    assert known in pjsip.read_text()
    pjsip.write_text(pjsip.read_text().replace(known, ""))
    await pbx.cli("module reload res_pjsip.so")

    async def is_let_in() -> bool:
        return await stranger(pbx.sip_port, "trunk") == ADDRESS_INCOMPLETE

    await until(is_let_in, within=RELOAD_SECONDS)
    lines = [said(each) for each in ("identify_by = ip", "allow_transfer = no", "redirect_method = user")]
    pjsip.write_text(pjsip.read_text().replace(trunk, trunk + "".join(f"{each}\n" for each in lines), 1))
    said("live_dangerously = no")
    for module in ("res_ari.so", "http", "res_pjsip.so"):
        await pbx.cli(f"module reload {module}")

    async def is_set() -> bool:
        shown = await pbx.cli("pjsip show endpoint trunk")
        return re.search(r"allow_transfer\s+: false", shown) is not None and "redirect_method" in shown

    await until(is_set, within=RELOAD_SECONDS)
    assert re.search(r"redirect_method\s+: user", await pbx.cli("pjsip show endpoint trunk"))
    assert await stranger(pbx.sip_port, "trunk") == HTTPStatus.UNAUTHORIZED
    wrong = {"Authorization": aiohttp.encode_basic_auth(pbx.ari_user, "wrong")}
    async with aiohttp.ClientSession(headers=wrong) as session:
        async with session.get(f"{pbx.ari_url}/ari/asterisk/info") as reply:
            assert reply.status == 401
        async with session.get(f"{pbx.ari_url}/static/ajamdemo.html") as reply:
            assert reply.status == 404
    async with ground.running() as service:
        placed = await ground.dial(callees.answers(1), agent="drops-1")
        outcome, _ = await ground.ended(service, placed)
        assert outcome.outcome == "bridged"
        redirected = await ground.dial(callees.redirects(2))
        outcome, _ = await ground.ended(service, redirected)
        assert (outcome.outcome, outcome.reason) == ("failed", "redirected")
    assert await ground.lab.world.invites(callees.answers(2).number) == 0
