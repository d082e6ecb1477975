"""Wrong input at the command line gives one clear line that says what to do, an exit status, and no traceback."""

import asyncio
import os
import re
import shutil
import signal
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio
import typer.main

from ccari.cli.main import app
from ccari.policy.blocks import WHY
from ccari.policy.declaration import read
from ccari.policy.gate import Block
from tests.integration.conftest import POLICY
from tests.integration.databases import new_database
from tests.integration.service import Done, Service
from tests.lab import Lab
from tests.lab.ports import free_port
from tests.lab.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="session")

EXIT_SECONDS = 60.0
REFUSED, USAGE = 1, 2
#: Attempts to inject a dial string.
DIAL_STRINGS = (
    "48600100001/x", "48600100001@evil", "48600100001&PJSIP/48600100002", "48600100001;x=1", "48600100001,30",
)  # fmt: skip


@dataclass
class Desk:
    """An environment to run commands in: ``environment`` names a database with a policy and secrets."""

    folder: Path
    environment: Mapping[str, str]
    #: The DSN of a database to which no policy was ever applied.
    bare: str

    def service(self, **changed: str) -> Service:
        """A service that is not started; settings are named without their prefix."""
        own = {
            "CCARI_HTTP__LISTEN": f"127.0.0.1:{free_port(socket.SOCK_STREAM, '127.0.0.1')}",
            "CCARI_AGI__LISTEN": "off",
        }
        settings = {**own, **self.environment, **{f"CCARI_{name}": value for name, value in changed.items()}}
        name = uuid4().hex
        return Service(settings, self.folder / f"{name}.log", self.folder / f"{name}.err")

    async def run(self, *arguments: str, **changed: str) -> Done:
        return await self.service(**changed).ccari(*arguments)

    async def refused(self, *arguments: str, **changed: str) -> str:
        """The one line with which a command refuses."""
        done = await self.run(*arguments, **changed)
        assert (done.code, done.out) == (REFUSED, ""), (arguments, done)
        return one_line(done.err)

    async def gives_up(self, **changed: str) -> str:
        """The one line with which the service ends if it does not start."""
        service = self.service(**changed)
        await service.spawn()
        assert service.process is not None
        try:
            async with asyncio.timeout(EXIT_SECONDS):
                code = await service.process.wait()
        finally:
            await service.stop(signal.SIGKILL)
        said = service.errors.read_text()
        assert code == REFUSED, said
        assert not any(line["event"] == "asterisk_connected" for line in service.lines())
        return one_line(said)


def one_line(text: str) -> str:
    lines = text.splitlines()
    assert len(lines) == 1, text
    assert lines[0].startswith("ccari: "), text
    return lines[0].removeprefix("ccari: ")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def desk(folder: Path, sounds: Path, dsn: str) -> Desk:
    home = folder / "misuse"
    home.mkdir()
    environment = {
        "CCARI_DATA_DIR": str(home / "data"),
        "CCARI_DATABASE__URL": await new_database(dsn, "misuse"),
        "CCARI_ASTERISK__URL": f"http://127.0.0.1:{free_port(socket.SOCK_STREAM, '127.0.0.1')}",
        "CCARI_ASTERISK__PASSWORD": "s3cret-p4ssword",
        "CCARI_SOUNDS__DIR": str(sounds),
    }
    made = Desk(home, environment, await new_database(dsn, "bare"))
    for arguments in (("policy", "apply", str(POLICY)), ("keys", "init")):
        done = await made.run(*arguments)
        assert done.code == 0, done.err
    return made


async def test_an_asterisk_that_is_away_at_the_start_ends_the_service_or_keeps_it_from_ending(
    desk: Desk,
) -> None:
    """It reports this and keeps trying; it ends in order when told to."""
    service = desk.service()
    await service.spawn()
    try:
        away = await service.logged("asterisk_away")
        assert (
            "cannot be reached: Connection refused: is it running, with HTTP and ARI enabled in http.conf and ari.conf?"
            in away["reason"]
        )
        await until(lambda: service.count("asterisk_away") > 1, within=30)
        assert await service.stop(signal.SIGINT) == 0
    finally:
        await service.stop(signal.SIGKILL)
    assert service.errors.read_text() == ""


async def test_a_spool_that_is_not_there_shows_in_the_first_recording_only(desk: Desk) -> None:
    service = desk.service(ASTERISK__SPOOL=str(desk.folder / "nowhere"))
    await service.spawn()
    try:
        warning = await service.logged("spool_unreachable")
        assert (warning["level"], warning["advice"]) == ("warning", "check [asterisk] spool")
        await service.logged("asterisk_away")
        assert await service.stop() == 0
    finally:
        await service.stop(signal.SIGKILL)


async def test_a_wrong_or_missing_password_is_tried_for_ever(desk: Desk, lab: Lab) -> None:
    wrong, missing, empty = await asyncio.gather(
        desk.gives_up(ASTERISK__URL=lab.pbx.ari_url, ASTERISK__USERNAME="ccari"),
        desk.gives_up(ASTERISK__URL=lab.pbx.ari_url, ASTERISK__USERNAME="nobody"),
        desk.gives_up(ASTERISK__PASSWORD=""),
    )
    assert "refused the ARI user ccari: check its name and password in ari.conf and in [asterisk]" in wrong
    assert desk.environment["CCARI_ASTERISK__PASSWORD"] not in wrong
    assert "refused the ARI user nobody" in missing
    assert empty == "[asterisk] password is empty: give the password of the ARI user"


async def test_a_service_without_a_password_begins(desk: Desk) -> None:
    environment = {name: value for name, value in desk.environment.items() if "PASSWORD" not in name}
    unset = Desk(desk.folder, environment, desk.bare)
    assert "[asterisk] password or password_file is missing" in await unset.gives_up()


async def test_a_database_that_is_away_ends_in_a_traceback(desk: Desk) -> None:
    port = free_port(socket.SOCK_STREAM, "127.0.0.1")
    url = f"postgresql://ccari:s3cret@127.0.0.1:{port}/ccari"
    said = await asyncio.gather(
        desk.gives_up(DATABASE__URL=url),
        desk.refused("calls", "list", "--json", DATABASE__URL=url),
        desk.refused("gate", "+48600100001", "--campaign", "renewals", DATABASE__URL=url),
        desk.refused("suppress", "add", "+48600100001", DATABASE__URL=url),
    )
    assert set(said) == {"the database cannot be reached: Connection refused"}


async def test_a_port_that_cannot_be_had_ends_in_a_traceback(desk: Desk) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        busy, unknown, beyond = await asyncio.gather(
            desk.gives_up(HTTP__LISTEN=f"127.0.0.1:{taken.getsockname()[1]}"),
            desk.gives_up(HTTP__LISTEN="no-such-host.invalid:8090"),
            desk.gives_up(HTTP__LISTEN="127.0.0.1:99999"),
        )
    assert busy.endswith(
        ": Address already in use: stop what has it, such as another ccari serve, or set [http] listen"
    )
    assert "cannot listen on no-such-host.invalid:8090: Name or service not known" in unknown
    assert beyond == "the environment: http.listen: the port must be 1 to 65535"


async def test_a_data_dir_that_cannot_be_written_ends_in_a_traceback(desk: Desk) -> None:
    in_the_way = desk.folder / "file"
    in_the_way.write_text("")
    embedded = {name: value for name, value in desk.environment.items() if "DATABASE" not in name}
    without = Desk(desk.folder, embedded, desk.bare)
    said = await asyncio.gather(
        *(
            without.refused("calls", "list", DATA_DIR=place)
            for place in (str(in_the_way), "/proc/none", "/sys/none")
        )
    )
    assert all(each.startswith("cannot write in ") and each.endswith(": check data_dir") for each in said), (
        said
    )


async def test_root_without_a_user_for_the_database_is_not_told_to_make_one(desk: Desk) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root, who may hide the users of the machine from a command")
    passwd = desk.folder / "passwd"
    passwd.write_text("root:x:0:0:root:/root:/bin/sh\n")
    embedded = {name: value for name, value in desk.environment.items() if "DATABASE" not in name}
    process = await asyncio.create_subprocess_exec(
        "unshare", "--mount", "--propagation", "private", "sh", "-c", 'mount --bind "$0" /etc/passwd && exec "$@"',
        str(passwd), sys.executable, "-m", "ccari", "calls", "list", env={**os.environ, **embedded},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, cwd="/",
    )  # fmt: skip
    async with asyncio.timeout(EXIT_SECONDS):
        out, err = await process.communicate()
    assert (process.returncode, out) == (REFUSED, b"")
    assert "make a user for it (useradd --system ccari), or give [database] url" in one_line(err.decode())


async def test_a_secret_that_is_missing_open_or_damaged_lets_calls_through(desk: Desk) -> None:
    keys = Path(desk.environment["CCARI_DATA_DIR"]) / "keys"
    spoilt = {}
    for name in ("open", "short"):
        spoilt[name] = desk.folder / f"keys-{name}"
        shutil.copytree(keys, spoilt[name])
    (spoilt["open"] / "acme/suppression-1.key").chmod(0o644)
    (spoilt["short"] / "acme/suppression-1.key").write_text("abcd")
    gate = ("gate", "+48600100001", "--campaign", "renewals")
    missing, open_, short, *asked = await asyncio.gather(
        desk.gives_up(KEYS__DIR=str(desk.folder / "none")),
        desk.gives_up(KEYS__DIR=str(spoilt["open"])),
        desk.gives_up(KEYS__DIR=str(spoilt["short"])),
        desk.refused(*gate, KEYS__DIR=str(desk.folder / "none")),
        desk.refused(*gate, KEYS__DIR=str(spoilt["open"])),
        desk.refused(*gate, KEYS__DIR=str(spoilt["short"])),
    )
    assert missing.startswith("'acme' has no suppression secret in ")
    assert "can be read by others: chmod 600 it" in open_
    assert "contains no secret of 32 bytes in hexadecimal" in short
    assert "abcd" not in short
    assert asked == [missing, open_, short]


async def test_a_service_begins_that_cannot_encrypt_or_sign_or_keep_its_keys(desk: Desk) -> None:
    """It creates no keys by itself: nobody would hold the identity, and nobody would know the key."""
    keys = Path(desk.environment["CCARI_DATA_DIR"]) / "keys"
    spoilt = {}
    for name in ("recipients", "emptied", "key", "halved", "open", "webhook", "shared", "journal"):
        spoilt[name] = desk.folder / f"keys-without-{name}"
        shutil.copytree(keys, spoilt[name])
    (spoilt["recipients"] / "recordings.recipients").unlink()
    (spoilt["emptied"] / "recordings.recipients").write_text("# nobody yet\n")
    for half in ("key", "pub"):
        (spoilt["key"] / f"evidence-1.{half}").unlink()
    (spoilt["halved"] / "evidence-1.key").unlink()
    (spoilt["journal"] / "journal.key").unlink()
    (spoilt["open"] / "evidence-1.key").chmod(0o644)
    (spoilt["webhook"] / "gone").mkdir()
    (spoilt["webhook"] / "gone/webhook.key").touch(mode=0o644)
    (spoilt["shared"] / "acme").chmod(0o777)
    before = {name: _files(folder) for name, folder in spoilt.items()}
    # one after the other: each start uses a processor for seconds, and has a time limit
    said = {name: await desk.gives_up(KEYS__DIR=str(folder)) for name, folder in spoilt.items()}
    for name in ("recipients", "emptied"):
        assert said[name].startswith("there is no recipient of recordings in "), said
        assert said[name].endswith(
            "restore it from the backup, or if there has never been one run: ccari keys init"
        )
    assert said["key"].startswith("there is no evidence key in ")
    assert (
        "journal.key: restore it from the backup, or if there has never been one run: ccari keys init"
        in said["journal"]
    )
    assert "evidence-1.key is missing: restore it from the backup" in said["halved"]
    assert "evidence-1.key can be read by others: chmod 600 it" in said["open"]
    assert "gone/webhook.key can be read by others: chmod 600 it" in said["webhook"]
    assert "other users can put files into" in said["shared"]
    assert {name: _files(folder) for name, folder in spoilt.items()} == before


def _files(folder: Path) -> set[str]:
    return {str(each.relative_to(folder)) for each in folder.rglob("*")}


async def test_recipients_are_asked_for_where_nothing_is_encrypted(desk: Desk) -> None:
    keys = desk.folder / "keys-for-no-encryption"
    shutil.copytree(Path(desk.environment["CCARI_DATA_DIR"]) / "keys", keys)
    (keys / "recordings.recipients").unlink()
    service = desk.service(KEYS__DIR=str(keys), RECORDINGS__ENCRYPTION="none")
    await service.spawn()
    try:
        await service.logged("asterisk_away")
        assert await service.stop() == 0
    finally:
        await service.stop(signal.SIGKILL)


async def test_a_missing_or_damaged_prompt_is_found_by_the_first_callee_or_stops_every_campaign(
    desk: Desk, sounds: Path, dsn: str
) -> None:
    """At the start, each campaign that lacks a prompt is named, and the service goes on even if no campaign is left."""
    spoilt = []
    for name in ("missing", "damaged"):
        spoilt.append(desk.folder / f"sounds-{name}")
        shutil.copytree(sounds, spoilt[-1])
    for file in (spoilt[0] / "pl/renewals").glob("identity.*"):
        file.unlink()
    for file in (spoilt[1] / "pl/renewals").glob("recording_opt_out.*"):
        file.write_bytes(file.read_bytes()[:-1000])
    missing, damaged, none = await asyncio.gather(
        *(_unfit(desk, folder) for folder in spoilt),
        _unfit(await _without_orders(desk, dsn), desk.folder / "no-sounds"),
    )
    assert list(missing) == list(damaged) == ["renewals"]
    assert "pl/renewals/identity" in missing["renewals"]
    assert "pl/renewals/recording_opt_out" in damaged["renewals"]
    assert none.keys() == {each.id for each in read(POLICY.read_text()).campaigns} - {"orders"}
    assert all("no such sound in" in each and each.endswith("ccari sounds build") for each in none.values())


async def _without_orders(desk: Desk, dsn: str) -> Desk:
    """Apply a policy without the one campaign that uses only shipped prompts."""
    (policy := desk.folder / "without-orders.toml").write_text(
        "".join(
            each
            for each in re.split(r"(?=\[\[campaigns]])", POLICY.read_text())
            if 'id = "orders"' not in each
        )
    )
    other = Desk(
        desk.folder,
        {**desk.environment, "CCARI_DATABASE__URL": await new_database(dsn, "without_orders")},
        desk.bare,
    )
    done = await other.run("policy", "apply", str(policy))
    assert done.code == 0, done.err
    return other


async def _unfit(desk: Desk, sounds: Path) -> dict[str, str]:
    """The campaigns that a service reports when it starts with these sounds, and why."""
    service = desk.service(SOUNDS__DIR=str(sounds))
    await service.spawn()
    try:
        await service.logged("asterisk_away")
        assert await service.stop() == 0
    finally:
        await service.stop(signal.SIGKILL)
    told = [line for line in service.lines() if line["event"] == "gate_unfit"]
    assert {line["level"] for line in told} == {"error"}
    return {line["campaign"]: line["reason"] for line in told}


async def test_commands_without_a_policy_end_in_a_traceback_or_pretend(desk: Desk) -> None:
    bare = desk.bare
    lists = await asyncio.gather(
        *(
            desk.run(what, "list", DATABASE__URL=bare)
            for what in ("calls", "recordings", "requests", "suppress")
        )
    )
    assert [(done.code, done.err) for done in lists] == [(0, "")] * 4
    assert all(done.out.startswith(("there are no", "nothing is")) for done in lists)
    said = await asyncio.gather(
        desk.refused("gate", "+48600100001", "--campaign", "renewals", DATABASE__URL=bare),
        desk.refused("suppress", "add", "+48600100001", DATABASE__URL=bare),
        desk.refused("keys", "init", DATABASE__URL=bare),
        desk.refused("policy", "show", DATABASE__URL=bare),
    )
    assert set(said) == {"no policy has been applied: ccari policy apply FILE"}


async def test_an_unknown_campaign_or_a_dial_string_is_allowed(desk: Desk) -> None:
    """The gate's verdict is its output; its exit status says that it blocks."""
    cases = {
        ("+48600100001", "nonsense"): "unknown_campaign",
        ("12345", "renewals"): "number_invalid",
        **{(text, "renewals"): "number_characters" for text in DIAL_STRINGS},
    }
    done = await asyncio.gather(
        *(desk.run("gate", "--campaign", campaign, "--", number) for number, campaign in cases)
    )
    assert {case: (each.code, each.out, each.err) for case, each in zip(cases, done, strict=True)} == {
        case: (REFUSED, f"block {reason}\n", f"ccari: {WHY[Block(reason)]}\n")
        for case, reason in cases.items()
    }


async def test_what_is_no_number_or_no_controller_is_barred(desk: Desk) -> None:
    said = await asyncio.gather(
        *(desk.refused("suppress", "add", "--", text) for text in ("12345", DIAL_STRINGS[2])),
        desk.refused("suppress", "add", "+48600100001", "--controller", "nonsense"),
        desk.refused("suppress", "check", "+48600100001", "--controller", "nonsense"),
    )
    assert all(each.startswith("this number cannot be called: ") for each in said[:-2]), said
    assert said[-1] == said[-2] == "there is no controller 'nonsense', only acme"
    listed = await desk.run("suppress", "list")
    assert listed.out == "there are no suppressions\n"


async def test_a_broken_policy_file_is_applied_or_ends_in_a_traceback(desk: Desk) -> None:
    good = POLICY.read_text()
    broken = {
        "none.toml": (None, "No such file or directory"),
        "text.toml": ("this is no policy", "not TOML"),
        "key.toml": (
            good.replace("data_source", "data_sauce", 1),
            "campaigns[0].data_sauce: is not a known key",
        ),
        "whose.toml": (
            good.replace('controller = "acme"', 'controller = "evil"', 1),
            "'evil' is not one of the controllers: acme",
        ),
    }
    files = {}
    for name, (text, _) in broken.items():
        files[name] = desk.folder / name
        if text is not None:
            files[name].write_text(text)
    before = await desk.run("policy", "show", "--json")
    checked = await asyncio.gather(*(desk.run("policy", "check", str(file)) for file in files.values()))
    for (name, (_, words)), done in zip(broken.items(), checked, strict=True):
        assert (done.code, done.out) == (REFUSED, ""), name
        assert words in done.err
        assert name in done.err, "it is not said which file is wrong"
        assert all(line.startswith("ccari: ") for line in done.err.splitlines())
    assert "'evil' is not one of the controllers: acme" in await desk.refused(
        "policy", "apply", str(files["whose.toml"])
    )
    assert (await desk.run("policy", "show", "--json")).out == before.out


async def test_wrong_usage_is_a_refusal_or_a_traceback(desk: Desk) -> None:
    wrong = [
        (), ("nonsense",), ("calls", "show", "no-uuid"), ("calls", "list", "--limit", "0"),
        ("suppress", "add", "+48600100001", "--reason", "nonsense"), ("gate", "+48600100001"),
    ]  # fmt: skip
    done = await asyncio.gather(*(desk.run(*arguments) for arguments in wrong))
    for arguments, each in zip(wrong, done, strict=True):
        assert each.code == USAGE, arguments
        assert "Usage: ccari" in each.out + each.err
        assert "Traceback" not in each.err


async def test_an_unknown_call_is_shown(desk: Desk) -> None:
    unknown = str(uuid4())
    assert await desk.refused("calls", "show", unknown) == f"there is no call {unknown}"


async def test_a_wrong_configuration_file_is_ignored(desk: Desk) -> None:
    wrong = desk.folder / "ccari.toml"
    wrong.write_text("[asterisk]\npasword = 's3cret'\n")
    unknown, missing, variable = await asyncio.gather(
        desk.refused("--config", str(wrong), "calls", "list"),
        desk.refused("--config", "/nowhere/ccari.toml", "calls", "list"),
        desk.refused("calls", "list", ASTERISC__URL="http://127.0.0.1:1"),
    )
    assert unknown.startswith(f"{wrong} or the environment: asterisk.pasword: is not a known key; known are ")
    assert missing == "cannot read /nowhere/ccari.toml: No such file or directory"
    assert variable.startswith("the environment variable CCARI_ASTERISC__URL is not a known setting: ")


async def test_help_is_missing_or_eaten() -> None:
    """The help of every command, argument and option, as printed: rich takes text in square brackets for markup."""
    nothing: list[str] = []

    def walk(command: Any, name: str) -> None:
        if not (command.help or "").strip():
            nothing.append(name)
        for each in command.params:
            text = getattr(each, "help", None) or ""
            if (not text and each.name != "file") or "[" in text:
                nothing.append(f"{name} {each.name}")
        for word, sub in getattr(command, "commands", {}).items():
            walk(sub, f"{name} {word}")

    walk(typer.main.get_command(app), "ccari")
    assert nothing == []
