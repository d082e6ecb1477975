"""compose.yaml as a user starts it, with Debian's podman in place of Docker, and a call through it."""

import contextlib
import json
import re
import shutil
import sys
from collections.abc import AsyncIterator
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.containers.images import CHECKOUT, ensure_images
from tests.containers.stage import Done, Stage, run, stage
from tests.lab.waiting import until
from tests.unit.documents.pages import blocks

pytestmark = pytest.mark.asyncio(loop_scope="session")

BACK_SECONDS = 120.0
SERVICES = {"asterisk", "ccari", "postgres", "prometheus", "world"}


class Compose:
    """docker-compose in a copy of docker/, with the demo's settings."""

    def __init__(self, there: Stage, folder: Path) -> None:
        self.stage = there
        self.folder = folder

    async def __call__(self, *arguments: str) -> Done:
        return await run("docker-compose", "--env-file", "demo.env", *arguments,
                         environment=self.stage.environment, cwd=self.folder)  # fmt: skip

    async def said(self, *arguments: str) -> str:
        done = await self(*arguments)
        assert done.code == 0, f"{done.err}\n{done.out}"
        return done.out

    async def ccari(self, *arguments: str) -> str:
        return await self.said("exec", "-T", "ccari", "ccari", *arguments)

    async def json(self, *arguments: str) -> Any:
        return json.loads(await self.ccari(*arguments, "--json"))

    async def containers(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(await self.stage.podman("ps", "--all", "--format", "json"))
        return found

    async def inspected(self, service: str) -> dict[str, Any]:
        (container,) = json.loads(await self.stage.podman("inspect", f"ccari-demo-{service}-1"))
        told: dict[str, Any] = container
        return told


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def compose() -> AsyncIterator[Compose]:
    """Up, with the demo's call under way."""
    images = await ensure_images()
    assert mounts(images.storage) == []
    async with stage(images) as there:
        folder = there.folder / "docker"
        shutil.copytree(CHECKOUT / "docker", folder, ignore=shutil.ignore_patterns(".env", "secrets", "site"))
        assert (await run("sh", str(folder / "setup.sh"), environment=there.environment)).code == 0
        up = Compose(there, folder)
        try:
            await up.said("up", "--detach", "--no-build", "--pull", "never")
        except AssertionError as failed:
            raise AssertionError(f"{failed}\n{(await up('logs', '--tail', '40')).out}") from None
        yield up
        await up.said("down", "--volumes", "--timeout", "20")
        assert await up.containers() == []
        assert await there.podman("volume", "ls", "--quiet") == ""
        networks = await there.podman("network", "ls", "--quiet")
        assert networks.split() == ["podman"]
    assert left_behind(there.folder) == []


def mounts(folder: Path) -> list[str]:
    return [line for line in Path("/proc/mounts").read_text().splitlines() if str(folder) in line]


def left_behind(folder: Path) -> list[str]:
    """What is left of a stage that has ended: its folder, mounts, processes."""
    found = [str(folder)] if folder.exists() else []
    found += mounts(folder)
    for each in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if str(folder).encode() in (each / "cmdline").read_bytes():
                found.append(each.name)
    return found


async def test_it_does_not_come_up_from_nothing_or_the_demos_call_is_not_recorded(compose: Compose) -> None:
    code = int(await compose.stage.podman("wait", "ccari-demo-demo-1"))
    shown = (await compose("logs", "--no-log-prefix", "demo")).out
    assert (code, "as it should" in shown) == (0, True), (
        f"{shown}\n{(await compose('logs', '--tail', '60')).out}"
    )
    (call,) = await compose.json("calls", "list")
    assert call["outcome"] == "bridged"
    journal = [each["event"] for each in (await compose.json("calls", "show", call["id"]))["events"]]
    order = ["callee_answered", "notice_heard", "recording_started", "call_bridged", "recording_stored"]
    assert [each for each in journal if each in order] == order
    (recording,) = await compose.json("recordings", "list")
    assert (recording["state"], recording["legal_basis"]) == ("stored", "legitimate_interest")
    rows = await compose.said("exec", "-T", "postgres", "psql", "--username=ccari", "--tuples-only", "--no-align",
                              "--command=SELECT state, file FROM recordings")  # fmt: skip
    assert rows.strip() == f"stored|{recording['file']}"
    kept = f"/var/lib/ccari/recordings/{recording['file']}"
    tag = json.loads(
        await compose.said("exec", "-T", "ccari", "cat", f"{kept.split('.', maxsplit=1)[0]}.json")
    )
    assert (tag["call_id"], tag["legal_basis"]) == (call["id"], "legitimate_interest")
    assert (
        await compose.said("exec", "-T", "ccari", "head", "-c", "21", kept)
    ).strip() == "age-encryption.org/v1"
    assert await compose.said("exec", "-T", "asterisk", "ls", "/var/spool/asterisk/recording") == ""


async def test_a_part_of_it_is_unhealthy(compose: Compose) -> None:
    for each in sorted(SERVICES):
        await compose.stage.podman("wait", "--condition=healthy", f"ccari-demo-{each}-1")
    findings = await compose.json("doctor")
    assert [each for each in findings if each["state"] == "fault"] == []


async def test_a_container_may_do_more_than_it_must(compose: Compose) -> None:
    for each in sorted(SERVICES):
        told = await compose.inspected(each)
        assert told["HostConfig"]["ReadonlyRootfs"], each
        assert not told["EffectiveCaps"], each
        assert "no-new-privileges" in told["HostConfig"]["SecurityOpt"], each
        assert told["Config"]["User"] not in {"", "0", "root"}, each
        assert told["HostConfig"]["RestartPolicy"]["Name"] == "unless-stopped", each
        seen = {line.split(":")[0]: line.split() for line in
                (await compose.said("exec", "-T", each, "cat", "/proc/1/status")).splitlines()}  # fmt: skip
        assert "0" not in seen["Uid"], each
        assert int(seen["CapEff"][1], 16) == 0, each
        assert seen["NoNewPrivs"][1] == "1", each


async def test_a_secret_is_in_the_environment_or_the_definition_of_a_container(compose: Compose) -> None:
    secrets = [each.read_text() for each in sorted((compose.folder / "secrets").iterdir())]
    assert len(secrets) == 2
    for each in sorted(SERVICES):
        told = json.dumps(await compose.inspected(each))
        assert not [secret for secret in secrets if secret in told], each
    logs = (await compose.said("logs")).splitlines()
    assert logs
    assert not [line for line in logs for secret in secrets if secret in line]
    assert not [line for line in logs if "+48600100001" in line]


async def test_something_is_heard_beyond_this_machine(compose: Compose) -> None:
    """In the demo nothing; otherwise SIP and RTP, and only those."""
    ports = [port for each in await compose.containers() for port in each["Ports"] or ()]
    assert {port["host_ip"] for port in ports} == {"127.0.0.1"}
    told = await run("docker-compose", "config", "--format", "json", environment=compose.stage.environment,
                     cwd=compose.folder)  # fmt: skip
    services = json.loads(told.out)["services"]
    wide = {
        (name, port["protocol"])
        for name, each in services.items()
        for port in each.get("ports", ())
        if port["host_ip"] != "127.0.0.1"
    }
    assert wide == {("asterisk", "udp")}
    ask = "import sys, urllib.request as u; print(u.urlopen('http://127.0.0.1:8090/readyz', timeout=10).read().decode())"
    ready = await compose.stage.inside(sys.executable, "-c", ask)
    assert set(json.loads(ready.out).values()) == {"ok"}


async def test_a_phone_that_is_not_beside_it_is_told_the_containers_own_address(compose: Compose) -> None:
    written = await compose.said(
        "run", "--rm", "--no-deps", "-T", "--env", "EXTERNAL_ADDRESS=198.51.100.7", "asterisk",
        "cat", "/run/asterisk/made/transport.conf",
    )  # fmt: skip
    (network,) = json.loads(await compose.stage.podman("network", "inspect", "ccari-demo_telephony"))
    near = [ip_network(each["subnet"]) for each in network["subnets"]]
    named = re.findall("^local_net = (.*)$", written, re.MULTILINE)
    assert [ip_network(each) for each in named] == near
    assert "external_signaling_address = 198.51.100.7" in written


async def test_settings_that_no_variable_can_say_do_not_come_in_as_the_page_tells(compose: Compose) -> None:
    """docker/README.md: the override and the file as shown there, and the secret created by the line given there."""
    shown = {
        each.language: each.text
        for each in blocks(CHECKOUT / "docker" / "README.md")
        if "crm_webhook" in each.text
    }
    made, _ = shown[""].split("\n", 1)
    override = compose.folder / "compose.override.yaml"
    try:
        override.write_text(shown["yaml"])
        (compose.folder / "ccari.toml").write_text(shown["toml"])
        assert (
            await run("sh", "-c", made, environment=compose.stage.environment, cwd=compose.folder)
        ).code == 0
        told = json.loads(await compose.said("run", "--rm", "--no-deps", "-T", "ccari", "doctor", "--json"))
    finally:
        override.unlink()
    found = {each["check"]: (each["state"], each["found"]) for each in told}
    assert found["webhook crm"] == ("ok", "there is a secret to sign messages with")


#: Asks Prometheus until it has scraped ccari, and prints the rules that it has loaded.
WATCHED = """
import json, sys, time, urllib.request
def asked(what):
    with urllib.request.urlopen(f"http://127.0.0.1:9090/api/v1/{what}", timeout=5) as reply:
        return json.load(reply)["data"]
until = time.monotonic() + float(sys.argv[1])
while (found := [each["health"] for each in asked("targets")["activeTargets"]]) != ["up"]:
    if time.monotonic() > until:
        sys.exit(f"ccari is {found}")
    time.sleep(0.5)
print(json.dumps([rule["name"] for group in asked("rules")["groups"] for rule in group["rules"]]))
"""


async def test_prometheus_sees_nothing_of_ccari_or_has_no_alerts(compose: Compose) -> None:
    asked = await compose.stage.inside(sys.executable, "-c", WATCHED, str(BACK_SECONDS))
    assert asked.code == 0, asked.err
    written = (CHECKOUT / "docker/prometheus/ccari.rules.yml").read_text()
    assert sorted(json.loads(asked.out)) == sorted(re.findall(r"^ +- alert: (\w+)$", written, re.MULTILINE))


async def test_a_service_that_was_killed_stays_away(compose: Compose) -> None:
    before = (await compose.inspected("ccari"))["State"]["StartedAt"]
    pid = (await compose.inspected("ccari"))["State"]["Pid"]
    assert (await compose.stage.inside("kill", "-KILL", str(pid))).code == 0

    async def back() -> bool:
        state = (await compose.inspected("ccari"))["State"]
        return bool(state["StartedAt"] != before and state["Health"]["Status"] == "healthy")

    await until(back, within=BACK_SECONDS)
