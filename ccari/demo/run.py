"""Plays every scene, shows each call as it happens, and compares how it ended with how it had to."""

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib import resources
from pathlib import Path
from typing import Any
from uuid import UUID

import aiohttp
from rich.console import Console
from rich.panel import Panel
from rich.table import Table

from ccari.config import Settings
from ccari.demo.scenes import SCENES, Scene
from ccari.demo.watch import CALL_SECONDS, Watch, service
from ccari.demo.world import World, WorldSettings
from ccari.errors import CcariError
from ccari.keyring.secrets import SecretStore
from ccari.policy.consent import Channel
from ccari.policy.numbers import Number
from ccari.policy.recording import RecordingState
from ccari.ports.access import Bearer, Role, fingerprint, new_token
from ccari.ports.keying import Digests
from ccari.ports.lists import Agreed, LineFault
from ccari.ports.recordings import WantedRecordings
from ccari.ports.records import CallRecord, WantedCalls
from ccari.recordings.recipients import RecipientFile
from ccari.recordings.tags import beside
from ccari.store.opened import Store, open_store

#: The fields that a timeline leaves out: they are in its heading, or the same in every line.
_NOT_IN_TIMELINE = {
    "at", "level", "event", "call_id", "agent", "campaign", "controller", "legal_basis", "number", "since_request_ms",
}  # fmt: skip
#: How often the database is queried while the demo waits.
_LOOK_SECONDS = 0.1
#: How long the token is valid that the demo makes for its console.
_TOKEN_LASTS = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Played:
    """A scene that was played, with the record of its call. ``invites``: how many INVITEs the far Asterisk received."""

    scene: Scene
    record: CallRecord
    invites: int

    @property
    def recorded(self) -> bool:
        return any(each["state"] == RecordingState.STORED for each in self.record.recordings)

    @property
    def faults(self) -> list[str]:
        """How the call differs from what the scene demands, in words."""
        scene, call = self.scene, self.record.call
        wanted: dict[str, tuple[object, object]] = {
            "outcome": (scene.outcome.value, call["outcome"]),
            "reason": (scene.reason, call["reason"]),
            "recorded": (scene.recorded, self.recorded),
            "INVITEs": (scene.invites, self.invites),
            "journal": (None, self.record.fault),
        }
        return [f"{name}: {found}, not {want}" for name, (want, found) in wanted.items() if want != found]


def policy_document() -> str:
    return resources.files("ccari.demo").joinpath("policy.toml").read_text("utf-8")


async def run(settings: Settings, console: Console, *, keep: bool) -> bool:
    """Play all scenes on the prepared ``data_dir``; True if each call ended as it should.

    Raises
    ------
    CcariError
        If a part of the demo cannot be started or does not answer.
    """
    far_side = WorldSettings.from_environment()
    async with aiohttp.ClientSession() as session, open_store(settings) as store, service() as watch:
        world = World(far_side, session)
        played = [await _play(scene, settings, store, world, watch, console) for scene in SCENES]
        _summarise(played, console)
        await _show_tags(settings, store, console)
        await _show_requests(store, console)
        if keep:
            _explain_trying(far_side, settings, await _officers_token(store), console)
            await asyncio.Event().wait()
    return not any(each.faults for each in played)


async def run_beside(settings: Settings, console: Console) -> bool:
    """Play the first scene with a service that is running already, on its database. True if the call ended as it should.

    Raises
    ------
    CcariError
        If the other Asterisk does not answer.
    """
    scene, far_side = SCENES[0], WorldSettings.from_environment()
    number = Number(scene.number)
    async with aiohttp.ClientSession() as session, open_store(settings) as store:
        world = World(far_side, session)
        earlier = await world.invites(scene.number)
        console.print(f"\n[bold]{scene.title}[/bold]  [dim]{number.masked}, campaign {scene.campaign}[/dim]")
        wanted = WantedCalls(campaign=scene.campaign, since=datetime.now(UTC))
        await world.dial(scene.number, scene.campaign, scene.agent)
        call_id = await _first_call(store, wanted)
        record = await _closed(store, call_id)
        for event in record.events:
            console.print(f"  [dim]{event['at']:%H:%M:%S}[/dim]  {event['event']}")
        played = Played(scene, record, await world.invites(scene.number) - earlier)
        _summarise([played], console)
        await _show_tags(settings, store, console)
    return not played.faults


async def _first_call(store: Store, wanted: WantedCalls) -> UUID:
    """Wait until the call is in the database."""
    async with _in_time():
        while not (found := await store.records.list_calls(1, wanted)):  # noqa: ASYNC110
            await asyncio.sleep(_LOOK_SECONDS)
    call_id: UUID = found[0]["id"]
    return call_id


@contextlib.asynccontextmanager
async def _in_time() -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(CALL_SECONDS):
            yield
    except TimeoutError:
        raise CcariError("the demo waited in vain for its call: see the logs of ccari and Asterisk") from None


async def _play(
    scene: Scene, settings: Settings, store: Store, world: World, watch: Watch, console: Console
) -> Played:
    number = Number(scene.number)
    console.print(f"\n[bold]{scene.title}[/bold]  [dim]{number.masked}, campaign {scene.campaign}[/dim]")
    if scene.suppressed is not None:
        digests = SecretStore(settings.keys_dir).digests("acme", number)
        await store.suppressions.add("acme", digests, scene.suppressed, "demo", "a letter of last week")
        console.print("  [dim]      [/dim] number_suppressed      " + scene.suppressed.value)
    if scene.consented:
        await _consent(number, settings, store)
        console.print("  [dim]      [/dim] consent_entered        marketing")
    await world.dial(scene.number, scene.campaign, scene.agent)
    call_id: str | None = None
    async for line in watch.until("call_ended", within=CALL_SECONDS):
        if "call_id" in line and "since_request_ms" in line:
            call_id = line["call_id"]
            console.print(_timeline(line))
    if call_id is None:
        raise CcariError("a call ended of which nothing is known")
    return Played(scene, await _closed(store, UUID(call_id)), await world.invites(scene.number))


async def _consent(number: Number, settings: Settings, store: Store) -> None:
    given = datetime.now(UTC) - timedelta(days=30)
    agreed = Agreed(number, "marketing", Channel.PHONE, given, None, None, "form 2026/17")
    digests = SecretStore(settings.keys_dir).digests("acme", number)

    async def form() -> AsyncIterator[list[tuple[Agreed, Digests] | LineFault]]:
        yield [(agreed, digests)]

    await store.consents.load("acme", {"offers": "marketing"}, form(), origin="demo", keep_going=False)


def _timeline(line: dict[str, Any]) -> str:
    fields = " ".join(
        f"{name}={value}" for name, value in line.items() if name not in _NOT_IN_TIMELINE and value
    )
    return f"  [dim]{line['since_request_ms'] / 1000:5.2f}s[/dim] {line['event']:22} [dim]{fields}[/dim]"


async def _closed(store: Store, call_id: UUID) -> CallRecord:
    """Wait until the call's end is in the database, a moment after it is in the log, and until its recording is stored."""
    async with _in_time():
        while not _is_closed(record := await store.records.show_call(call_id)):  # noqa: ASYNC110
            await asyncio.sleep(_LOOK_SECONDS)
    return record


def _is_closed(record: CallRecord) -> bool:
    return record.call["ended_at"] is not None and all(
        not RecordingState(each["state"]).is_unfinished for each in record.recordings
    )


def _summarise(played: list[Played], console: Console) -> None:
    table = Table(title="\nHow the calls ended", title_justify="left", header_style="bold")
    for heading in ("CALL", "OUTCOME", "REASON", "RECORDED", "INVITES", ""):
        table.add_column(heading)
    for each in played:
        call = each.record.call
        verdict = (
            "[red]" + "; ".join(each.faults) + "[/red]" if each.faults else "[green]as it should[/green]"
        )
        table.add_row(
            each.scene.title, call["outcome"], call["reason"], "yes" if each.recorded else "no", str(each.invites),
            verdict,
        )  # fmt: skip
    console.print(table)


async def _show_tags(settings: Settings, store: Store, console: Console) -> None:
    for row in await store.records.page_of_recordings(len(SCENES), WantedRecordings()):
        if row["file"]:
            path = Path(settings.recordings_dir) / row["file"]
            tag = json.loads(beside(path).read_text("utf-8"))
            lines = "\n".join(f"{name:18} {_as_filed(value)}" for name, value in tag.items())
            console.print(Panel(lines, title=f"The tag of {path.name}", title_align="left", expand=False))


def _as_filed(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


async def _show_requests(store: Store, console: Console) -> None:
    for row in await store.requests.list(None, 10):
        console.print(
            f"Request {row['reference']}: {row['right']} (Art {row['article']}), {row['state']}, due {row['due']}"
        )


async def _officers_token(store: Store) -> str:
    """A new token for the console. Raises StoreError."""
    token = new_token()
    officer = Bearer(f"demo-{len(await store.tokens.list()) + 1}", Role.DPO)
    await store.tokens.add(officer, fingerprint(token), "demo", datetime.now(UTC) + _TOKEN_LASTS)
    return token


def _explain_trying(far_side: WorldSettings, settings: Settings, token: str, console: Console) -> None:
    console.print(
        f"\n[bold]Everything goes on running. Open the console in a browser:[/bold]\n"
        f"  http://{settings.http.listen}/console with the token {token}\n"
        f"  recordings are heard there with the key in {RecipientFile(settings.keys_dir).identity_path}\n"
        f"[bold]Dial in with a SIP softphone:[/bold]\n"
        f"  server {far_side.pbx_sip} (UDP), user phone, password {far_side.phone_password}\n"
        f"  call {SCENES[0].number} (answers and talks) or another number of the scenes; campaign renewals\n"
        f"[bold]Or look by commands:[/bold]\n"
        f"  CCARI_DATA_DIR={settings.data_dir} {Path(sys.executable).with_name('ccari')} calls list\n"
        f"Ctrl-C ends it.",
        soft_wrap=True,
    )
