"""Runs every command of the documents as its reader would, in the order of the page, and checks what they promise."""

import asyncio
import json
import re
import shutil
import socket
import tempfile
import zipfile
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit

import asyncpg
import pytest
import pytest_asyncio

from ccari.cli.sounds import prompts_of
from ccari.policy.declaration import read
from ccari.policy.wording import Prompt
from ccari.sounds import Catalogue, EspeakNg, Manifest
from ccari.sounds.soundboard import shipped_sounds
from ccari.sounds.studio import folder_of
from tests import tsa
from tests.integration import studio
from tests.integration.databases import new_database
from tests.integration.documented import NOT_RUN, RUN, Desk, Line, beside, copied, lines
from tests.integration.ground import Ground, kept_later
from tests.integration.service import Done, Service
from tests.lab import Lab, callees, laboratory
from tests.lab.ports import free_port
from tests.unit.documents.pages import CHECKOUT, blocks, files, pages

pytestmark = pytest.mark.asyncio(loop_scope="session")

README = CHECKOUT / "README.md"
#: The policy that the README tells its readers to begin with.
POLICY = CHECKOUT / "ccari" / "demo" / "policy.toml"
CALLEE, ANOTHER = callees.answers(1), callees.answers(2)
ANOTHER_STILL = callees.answers(21)
SERVE = "ccari serve"
#: What the pages have their readers import, beside the lists that they show.
REGISTER = '[[registers]]\nid = "robinson"\nname = "Lista Robinsonów"\n'
LISTS = {
    "robinson.csv": "number;since\n+48600100099;2024-01-31\n",
    "agreed.csv": "number,purpose,channel,given,proof\n+48600100018,marketing,phone,2026-01-15,form 1\n",
    "numbers.txt": "600 100 014\n600 100 015\n",
    "do-not-call.txt": "600 100 016\n",
    "dialler.csv": "name,number\nAnna,+48600100017\nJan,+48600100016\n",
}
#: Replaces ``ccari``, a database that the suite's server already has.
RESTORED = "ccari_restored"
#: What a command must show besides exiting with 0; commands that are not listed need only succeed.
SHOWS = {
    "ccari policy apply": r"revision \d+ is in force",
    "ccari policy check": r"is valid",
    "ccari policy presets": r"PL",
    "ccari policy record": r"is in record\.html",
    "ccari policy information": r"is in information\.html: complete it",
    "ccari controllers list": r"acme",
    "ccari keys init": r"recordings: \w+",
    "ccari sounds build": r"\d+ prompts are in ",
    "ccari doctor": r"(?m)^ok +asterisk",
    "ccari evidence export": r"evidence-|proof\.zip",
    "ccari evidence verify": r"no fault was found",
    "ccari token create": r"[\w-]{40,}",
    "ccari token list": r"crm",
    "ccari recordings verify": r"\d+ ",
    "ccari evidence check": r"\d+ seal",
    "ccari evidence seal": r"seal",
    "ccari evidence stamp": r"newest seal",
    "ccari audit list": r"(?i)request|gate",
    "ccari keys list": r"evidence",
    "ccari sounds list": r"pl/renewals/identity",
    "ccari sounds import": r"good",
    "ccari requests list --open": r"ACME-",
    "ccari requests show": r"access",
    "ccari contacts show": r"targi 2026",
    "ccari consents show": r"form 2026/17",
    "ccari suppress list": r"do_not_call",
    "ccari gate": r"allow",
    "ccari calls list": r"bridged",
    "ccari registers list": r"robinson",
    "ccari recordings holds": r"II C 12/26",
    "ccari subject erase": r"recording +1\b",
    "ccari subject dossier": r"is in letter-7\.zip",
}
#: Commands that are refused here because nothing went wrong before, and the words of the refusal.
REFUSED = {
    f"ccari webhooks {each}": r"no such message was given up"
    for each in ("retry 17", "discard --endpoint crm")
} | {
    # it is still in the policy
    f"ccari controllers delete acme{each}": r"is in the policy in force: take it out"
    for each in ("", " --yes")
}
#: Commands to run on an installation other than the first.
ELSEWHERE = {
    "age-keygen -o recordings.identity": "listener",
    "ccari keys init --recipient age1…": "listener",
    "ccari keys restore /media/stick/keys-2026-11.age": "new",
    "install -d -m 700 keys && age -d keys-2026-11.age | tar x -C keys": "without",
    'ccari keys restore "$(ls /backup/keys-*.age | tail -n 1)"': "restored",
    'createdb --encoding=UTF8 --template=template0 ccari && pg_restore --no-owner --exit-on-error --dbname="$URL" /backup/ccari.dump': "restored",
    "rsync -a /backup/recordings /backup/sounds /backup/heard /backup/local-journal /var/lib/ccari": "restored",
    "ccari db migrate && ccari doctor && ccari recordings verify": "restored",
}


@pytest.fixture(scope="module")
def home(folder: Path) -> Path:
    """The reader's files. A speaker has recorded the notices: short tones suffice."""
    made = Path(tempfile.mkdtemp(dir=folder, prefix="documented-"))
    made.chmod(0o711)
    studio.record(folder_of(made / "reader" / "data" / "sounds"), _notices())
    return made


def _notices() -> list[Prompt]:
    """The campaigns' own notices in the policy."""
    words = Catalogue.load(shipped_sounds() / "catalogue.toml")
    shipped = Manifest.load(shipped_sounds())
    return [each for each in prompts_of(read(POLICY.read_text()), words) if each.key not in shipped.entries]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def lab(home: Path) -> AsyncIterator[Lab]:
    async with laboratory(host_folders=[home]) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def authority(home: Path) -> AsyncIterator[tsa.Desk]:
    """The authority that time-stamps seals."""
    async with tsa.open_desk(tsa.SigningAuthority(home / "authority")) as opened:
        yield opened


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def desk(lab: Lab, home: Path, dsn: str, authority: tsa.Desk) -> AsyncIterator[Desk]:
    """The README followed to its end, with two recorded calls, and two requests by the first one's callee."""
    reader, listen = home / "reader", f"127.0.0.1:{free_port(socket.SOCK_STREAM, '127.0.0.1')}"
    url = await new_database(dsn, home.name.replace("-", "_"))
    service = Service(
        {
            "CCARI_DATA_DIR": str(reader / "data"),
            "CCARI_DATABASE__URL": url,
            "CCARI_ASTERISK__URL": lab.pbx.ari_url,
            "CCARI_ASTERISK__USERNAME": lab.pbx.ari_user,
            "CCARI_ASTERISK__PASSWORD_FILE": str(lab.pbx.ari_password_file),
            "CCARI_ASTERISK__SPOOL": str(lab.pbx.spool),
            "CCARI_AGI__LISTEN": f"127.0.0.1:{lab.pbx.agi_port}",
            "CCARI_CALLS__DRAIN_SECONDS": "0",
            "CCARI_HTTP__LISTEN": listen,
            "CCARI_TIME_STAMPS__URL": authority.url,
            "CCARI_TIME_STAMPS__CERTIFICATES": str(authority.authority.root),
        },
        home / "ccari.log",
        home / "ccari.err",
    )
    stands_for = {"/var/lib/ccari": str(reader / "data"), "/backup": str(home / "backup"), "/etc/ccari": str(home / "etc"),
                  "/media/stick": str(home / "stick"), "127.0.0.1:8090": listen}  # fmt: skip
    made = Desk(reader, service, stands_for, {"URL": url})
    for name in ("backup", "stick", "etc"):
        (home / name).mkdir()
    shutil.copy(POLICY, reader / "policy.toml")
    shutil.copy(authority.authority.root, reader / "tsa.pem")
    await _let_in(lab)
    calls: list[dict[str, Any]] = []
    for line in lines(README):
        if line.written == SERVE:
            await service.start()
            calls += await _called(Ground(lab, reader, reader / "data" / "sounds", url), service)
        else:
            await follow(made, line)
    await _ask(made, calls)
    yield made
    assert await service.stop() == 0, service.errors.read_text()


async def _let_in(lab: Lab) -> None:
    """Write what the README says into Asterisk's own configuration, with the laboratory's port and password."""
    (shown,) = (each for each in blocks(README) if each.language == "ini")
    _, *parts = re.split(r"^; (\w+\.conf)$", shown.text, flags=re.MULTILINE)
    told = dict(zip(parts[::2], parts[1::2], strict=True))
    assert told.keys() == {"ari.conf", "http.conf"}
    etc, port = lab.pbx.home / "etc", urlsplit(lab.pbx.ari_url).port
    (etc / "ari.conf").write_text(told["ari.conf"].replace("a-long-random-one", lab.pbx.ari_password))
    (etc / "http.conf").write_text(f"{told['http.conf']}bindport = {port}\n")
    for module in ("res_ari.so", "http"):
        await lab.pbx.cli(f"module reload {module}")


async def _called(ground: Ground, service: Service) -> list[dict[str, Any]]:
    """Two calls, as the database has them once their recordings are stored."""
    placed = [
        await ground.lab.world.dial(each.number, campaign="renewals", agent="drops-2")
        for each in (CALLEE, ANOTHER)
    ]
    ended = [await ground.ended(service, each) for each in placed]
    assert [outcome.outcome for outcome, _ in ended] == ["bridged", "bridged"]
    return [await kept_later(service, shown["id"]) for _, shown in ended]


async def _ask(desk: Desk, calls: Sequence[dict[str, Any]]) -> None:
    """Create what the pages refer to: requests of somebody who was called, a token, and a listener's key."""
    service, (called, another) = desk.service, calls
    for shown, right in (("ACME-2026-000123", "access"), ("ACME-2026-000124", "erasure")):
        made = await service.json(
            "requests", "add", right, CALLEE.number, "--controller", "acme", "--campaign", "renewals"
        )
        desk.stands_for[shown] = made["reference"]
    other = await service.json("requests", "add", "access", ANOTHER_STILL.number, "--controller", "acme")
    desk.stands_for["ACME-2026-000125"] = other["reference"]
    policy = desk.folder / "policy.toml"
    heeded = policy.read_text().replace("marketing = true", 'marketing = true\nregisters = ["robinson"]')
    policy.write_text(f"{REGISTER}\n{heeded}")
    for name, content in LISTS.items():
        (desk.folder / name).write_text(content)
    for arguments in (
        ("policy", "apply", str(policy)),
        ("registers", "import", "robinson", "robinson.csv"),
        ("consents", "import", "agreed.csv"),
    ):
        done = await service.ccari(*arguments, folder=str(desk.folder))
        assert done.code == 0, done.err
    identity = next(each for each in _notices() if each.key == "pl/renewals/identity")
    (recorded := desk.folder / "recordings" / f"{identity.key}.wav").parent.mkdir(parents=True)
    await asyncio.to_thread(EspeakNg().speak, identity.text, identity.language, recorded)
    token = await service.json("token", "create", "--role", "dialer", "--name", "reader")
    desk.environment["TOKEN"] = token["token"]
    desk.stands_for |= {
        "3f0c…": called["id"], "600100001": CALLEE.digits.removeprefix("48"), "RECORDING": another["recordings"][0]["id"], "release 7": "release 1",
    }  # fmt: skip
    keys = Path(service.environment["CCARI_DATA_DIR"], "keys")
    copied([keys / "recordings.identity", keys / "evidence-1.pub"], desk.folder)
    shutil.copy(service.recordings / called["recordings"][0]["file"], desk.folder / "ID.flac.age")


async def follow(desk: Desk, line: Line) -> Done:
    """Do what the page says, and check that it has the effect the page promises."""
    assert line.program in RUN | NOT_RUN, f"{line.block.place}: {line.program} is not known here"
    if not line.is_run:
        return Done(0, "", "")
    done = await desk.type(line)
    if line.written in REFUSED:
        assert done.code == 1
        assert re.search(REFUSED[line.written], done.err), f"{line.block.place}: {line.text}\n{done.err}"
        return done
    assert done.code == 0, f"{line.block.place}: {line.text}\n{done.out}{done.err}"
    for command, shown in SHOWS.items():
        if line.written.startswith(command):
            assert re.search(shown, done.out), f"{line.block.place}: {line.text}\n{done.out}"
    return done


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def elsewhere(desk: Desk, dsn: str) -> AsyncIterator[Mapping[str, Desk]]:
    """The other installations that the pages refer to; the server of the one that restores does not have that database
    yet.
    """
    empty = await new_database(dsn, f"{desk.folder.parent.name.replace('-', '_')}_empty")
    restored = urlunsplit(urlsplit(dsn)._replace(path=f"/{RESTORED}"))
    host = dict(each.split("=") for each in unquote(urlsplit(dsn).query).split("&"))["host"]
    made = {
        "listener": beside(desk, "listener", url=empty),
        "new": beside(desk, "new", url=empty),
        "without": beside(desk, "without", url=empty),
        # the page stops the service before, but other pages need ours: to doctor, that is a stranger who drives this Asterisk
        "restored": beside(desk, "restored", url=restored, CCARI_ASTERISK__URL="off"),
    }
    made["restored"].stands_for["template0 ccari"] = f"template0 {RESTORED}"
    made["restored"].environment |= {"PGHOST": host, "PGUSER": urlsplit(dsn).username or "postgres"}
    await made["listener"].service.succeeds("policy", "apply", str(POLICY))
    yield made
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(f"DROP DATABASE IF EXISTS {RESTORED} WITH (FORCE)")
    finally:
        await connection.close()


@pytest.mark.parametrize(
    "page", [each for each in pages() if each != README and any(lines(each))], ids=lambda page: page.stem
)
async def test_a_documented_command_is_not_known_or_does_not_do_what_is_said(
    page: Path, desk: Desk, elsewhere: Mapping[str, Desk]
) -> None:
    for name, content in files(page):
        (desk.folder / name).write_text(content)
    for line in lines(page):
        at = elsewhere.get(ELSEWHERE.get(line.written, ""), desk)
        if line.program == "install" and "age -d" in line.written:
            copied([Path(desk.stands_for["/media/stick"], "keys-2026-11.age")], at.folder)
        done = await follow(at, line)
        if line.program == "age-keygen":
            at.stands_for["age1…"] = re.findall(r"age1\w+", done.out + done.err)[0]
        if line.program == "curl":
            shown = next(
                block for block in blocks(page) if block.language == "json" and block.line > line.block.line
            )
            said = json.loads(re.sub(r", …}", "}", shown.text))
            assert json.loads(done.out).items() >= said.items()


def _shown(page: str, beginning: str) -> str:
    """The block of a page that begins with this text."""
    (found,) = (each.text for each in blocks(CHECKOUT / page) if each.text.startswith(beginning))
    return found


async def test_the_log_reads_otherwise_than_the_readme_shows(desk: Desk) -> None:
    said = json.loads(re.sub(r",…}$", "}", _shown("README.md", '{"at"').strip()))
    told = next(
        each
        for each in desk.service.lines()
        if (each["event"], each.get("number")) == (said["event"], said["number"])
    )
    assert list(said) == [each for each in told if each in said]
    fixed = said.keys() - {"at", "call_id"}
    assert {each: told[each] for each in fixed} == {each: said[each] for each in fixed}


async def test_a_changed_pack_is_told_of_in_other_words_than_the_page_shows(desk: Desk) -> None:
    said = _shown("docs/evidence.md", "ccari: proof.zip").strip()
    entry, event = re.findall(r"entry (\d+) \((\w+)\)", said)[0]
    call = desk.stands_for["3f0c…"]
    done = await desk.service.ccari("evidence", "export", call, "--out", "whole.zip", folder=str(desk.folder))
    assert done.code == 0, done.err
    with (
        zipfile.ZipFile(desk.folder / "whole.zip") as whole,
        zipfile.ZipFile(desk.folder / "proof.zip", "w", zipfile.ZIP_DEFLATED) as changed,
    ):
        for name in whole.namelist():
            content = whole.read(name)
            if name == "journal.json":
                journal = json.loads(content)
                journal[int(entry) - 1]["event"] = "call_ended"
                content = json.dumps(journal).encode()
            changed.writestr(name, content)
    done = await desk.service.ccari("evidence", "verify", "proof.zip", folder=str(desk.folder))
    assert done.code == 1
    assert done.err.strip() == said.replace(f"({event})", "(call_ended)")


async def test_asterisk_does_not_take_a_dialplan_as_the_pages_show_it(lab: Lab) -> None:
    shown = [
        each for page in pages() for each in blocks(page) if re.search(r"^exten => ", each.text, re.MULTILINE)
    ]
    assert len(shown) > 2
    file = lab.pbx.home / "etc" / "extensions.conf"
    written, before = [], file.read_text()
    for number, block in enumerate(shown):
        # the included files are already there
        lines_ = [each for each in block.text.splitlines() if not each.startswith("#include")]
        # in contexts of their own, beside those of the laboratory
        written += [
            f"[documented-{number}]",
            *(re.sub(r"^\[([\w-]+)\]", rf"[documented-{number}-\1]", each) for each in lines_),
        ]
    file.write_text("\n".join((before, *written, "")))
    await lab.pbx.cli("dialplan reload")
    for number, block in enumerate(shown):
        taken = await lab.pbx.cli("dialplan show")
        steps = re.findall(
            r"^(?:exten| same) => (?:[^,]+,1|n),(\w+)\((.*?)\)\s*(?:;|$)", block.text, re.MULTILINE
        )
        assert steps
        for application, arguments in steps:
            assert f"{application}({arguments})" in taken, f"{block.place}: {application}({arguments})"
            known = await lab.pbx.cli(f"core show application {application}")
            assert "is (are) not registered" not in known, f"{block.place}: {application}: {known}"
        assert f"documented-{number}" in taken
    for block in shown:
        for name in re.findall(r'^#include ".*/dialplan/(.+)"$', block.text, re.MULTILINE):
            assert (CHECKOUT / "dialplan" / name).exists()
