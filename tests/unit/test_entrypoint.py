"""What docker/asterisk/entrypoint.sh makes Asterisk tell phones and trunks about where it is."""

import subprocess
from pathlib import Path

import pytest

from tests.unit.documents.pages import CHECKOUT

SCRIPT = CHECKOUT / "docker" / "asterisk" / "entrypoint.sh"
OUTSIDE = "198.51.100.7"
HERE = "192.0.2.10"
#: From Linux, Documentation/networking: each number in this machine's byte order. Two networks, and a way out of the
#: first.
ROUTES = """\
Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth0\t00000000\t010012AC\t0003\t0\t0\t0\t00000000\t0\t0\t0
eth0\t000012AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0
eth1\t00590A0A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0
eth0\t0000A8C0\t010012AC\t0003\t0\t0\t0\t0000FFFF\t0\t0\t0
"""
OWN = ["172.18.0.0/255.255.0.0", "10.10.89.0/255.255.255.0"]


class Entered:
    """The script as it is, except for where it reads and writes; ``told`` is what it wrote to the log."""

    def __init__(self, folder: Path, **environment: str) -> None:
        (folder / "route").write_text(ROUTES)
        (folder / "password").write_text("0123456789abcdef\n")
        script = (
            SCRIPT.read_text()
            .replace("/run/asterisk/made", str(folder))
            .replace("/proc/net/route", str(folder / "route"))
        )
        done = subprocess.run(
            ["/bin/sh", "-c", script, "entrypoint.sh", "true"], capture_output=True, text=True, check=True,
            env={"PATH": "/usr/bin:/bin", "ARI_PASSWORD_FILE": str(folder / "password"), **environment},
        )  # fmt: skip
        self.told = done.stderr
        self.transport = (folder / "transport.conf").read_text().splitlines()

    @property
    def local(self) -> list[str]:
        return [each.removeprefix("local_net = ") for each in self.transport if each.startswith("local_net")]


def test_a_phone_in_the_office_is_told_the_containers_own_address(tmp_path: Path) -> None:
    """Its network, 192.168.0.0 of the routes, is one that the container is not on."""
    entered = Entered(tmp_path, EXTERNAL_ADDRESS=OUTSIDE, SIP_LISTEN=HERE)
    assert entered.local == OWN
    for each in ("external_media_address", "external_signaling_address"):
        assert f"{each} = {OUTSIDE}" in entered.transport
    assert entered.told == ""


def test_networks_that_are_named_are_not_near_or_the_containers_own_is_not_any_more(tmp_path: Path) -> None:
    """Asterisk leaves an address of its own that is in none of them in the SDP."""
    entered = Entered(
        tmp_path, EXTERNAL_ADDRESS=OUTSIDE, LOCAL_NETS="10.0.0.0/8, 192.0.2.0/24 203.0.113.0/24"
    )
    assert entered.local == [*OWN, "10.0.0.0/8", "192.0.2.0/24", "203.0.113.0/24"]


@pytest.mark.parametrize(("listen", "warned"), [(HERE, True), ("127.0.0.1", False), ("", False)])
def test_nobody_is_told_that_phones_are_sent_to_the_containers_own_address(
    tmp_path: Path, listen: str, *, warned: bool
) -> None:
    """Where nothing is published, as for the demo's other Asterisk, or only on this machine, all who speak to it reach it."""
    entered = Entered(tmp_path, EXTERNAL_ADDRESS="", SIP_LISTEN=listen)
    assert entered.local == []
    assert ("EXTERNAL_ADDRESS is empty" in entered.told) is warned


def test_compose_does_not_hand_on_what_the_entrypoint_heeds() -> None:
    compose = (CHECKOUT / "docker" / "compose.yaml").read_text()
    example = (CHECKOUT / "docker" / ".env.example").read_text()
    for each in ("EXTERNAL_ADDRESS", "LOCAL_NETS", "SIP_LISTEN"):
        assert f"\n      {each}: ${{{each}:-" in compose, each
        assert f"\n{each}=" in example, each
