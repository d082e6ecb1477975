"""A call centre's last weeks, which the console shows in the browser tests."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from uuid import UUID

from pyrage.x25519 import Identity

from ccari.keyring.secrets import SecretStore
from ccari.policy import deadlines
from ccari.policy.chain import Entry
from ccari.policy.gate import Block
from ccari.policy.rights import Level, NumberFrom, RequestState, Right
from ccari.ports.calls import OpenedCall
from ccari.ports.live import Taped
from ccari.ports.requests import Clock, Exercise, Handling, Intake
from ccari.recordings.evidence.keys import SigningKeys
from ccari.store.opened import Store
from ccari.web.front import Front
from tests.unit.store import made
from tests.unit.store.test_listening_commands import put
from tests.unit.web.api import TWO, front_over
from tests.unit.web.test_live_calls import board, live

#: A display name that would run if a page let it.
HOSTILE = '"><img src=x onerror="document.title=1">'
NAMED = TWO.replace('purpose = "Umfrage"', "purpose = '''Umfrage <b>2026</b>'''")
TALK = replace(live("talk"), recording=Taped.ON, rights=())
LIVE = (live("notice"), TALK, replace(live("ring"), agent="bert"), live("talk", "other", campaign="umfrage"))
_OUTCOMES = (
    ("bridged", ""), ("bridged", ""), ("bridged", ""), ("no_answer", ""), ("busy", ""), ("callee_hangup", ""),
    ("blocked", Block.SUPPRESSED_OBJECTION_MARKETING.value), ("blocked", Block.OUTSIDE_HOURS.value),
    ("blocked", Block.SUPPRESSED_ERASURE.value), ("right_exercised", "erasure"), ("recording_refused", ""), ("failed", "lost"),
)  # fmt: skip
_PROMPTS = ("identity", "recording_opt_out", "rights")


class Voices:
    """Registers at once what agents enter, as calls do."""

    def __init__(self, front: Front) -> None:
        self._front = front

    def voice(self, call_id: UUID, right: Right) -> bool:
        (call,) = (each for each in self._front.live.now() if each.call_id == call_id)
        board(self._front).put(replace(call, rights=(*call.rights, right)))
        return True


async def furnish(store: Store, folder: Path) -> Front:
    """Create everything that the console shows, and its front."""
    front = await front_over(store, folder, TWO)
    SigningKeys(folder / "keys").create()
    front = replace(front, voicing=Voices(front))
    await store.policies.apply(NAMED, "cli:anna")
    for call in LIVE:
        board(front).put(call)
    await _calls(store)
    await recorded(store, folder)
    await _requests(store, SecretStore(folder / "keys"))
    return front


async def _calls(store: Store) -> None:
    for index in range(48):
        number = made.numbers(48)[index]
        call = replace(made.call(number=number), agent="anna" if index % 2 else "bert")
        await store.calls.open(call, made.question(call))
        outcome, reason = _OUTCOMES[index % len(_OUTCOMES)]
        if outcome not in {"blocked", "busy", "no_answer"}:
            await store.calls.commit_heard(call.id, "pl-1", None, heard())
        await store.calls.close(call.id, outcome, reason, made.journal("call_ended", outcome=outcome))
        await _opened(store, call.id, timedelta(hours=11 * index))


def heard() -> list[Entry]:
    """The journal entry of a notice, with as many hashes of sounds as in real calls."""
    sounds = ",".join(sha256(prompt.encode()).hexdigest() for prompt in _PROMPTS)
    return made.journal("notice_heard", sounds=sounds, prompts=",".join(_PROMPTS), notice_version="pl-1")


async def recorded(store: Store, folder: Path) -> UUID:
    """A stored recording, with its key beside it."""
    key = folder / "recordings.identity"
    if not key.exists():
        key.touch(mode=0o600)
        key.write_text(f"{Identity.generate()}\n")
    return (await put(store, folder / "recordings", key)).tag.recording_id


async def _opened(store: Store, call: UUID, ago: timedelta) -> None:
    async with store.database.connection() as connection:
        await connection.execute(
            "UPDATE calls SET opened_at = now() - $2::interval, ended_at = now() - $2::interval + '2 minutes',"
            " dialled_at = CASE WHEN outcome <> 'blocked' THEN now() - $2::interval + '3 seconds' END WHERE id = $1",
            call, ago,
        )  # fmt: skip


async def _requests(store: Store, secrets: SecretStore) -> None:
    now = datetime.now(UTC)
    today = deadlines.local_day(now, "PL")
    clock = Clock(now, {"acme": "PL", "other": "DE"})
    handling = Handling("token:officer", clock, "the archives are in three places")
    await press(store, Right.ERASURE, 0)
    await press(store, Right.ACCESS, 1, today)
    #: Some requests that are overdue or due soon, whatever the date.
    due = {1: today - timedelta(days=2), 2: today + timedelta(days=4)}
    for index, right in enumerate(Right):
        received = now - timedelta(days=3 * index + 1)
        exercise = Exercise(
            right=right, number=f"+48600200{index:03}", received_at=received,
            due=due.get(index) or deadlines.due(received, "PL"),
            local_year=2026, intake=Intake.LETTER, number_from=NumberFrom.GIVEN, level=Level.L1, who="token:officer",
            note=f"letter {HOSTILE}", language="pl", purpose="odnowienie umowy",
        )  # fmt: skip
        digests = made.digests(number=made.numbers(60)[50])
        reference = await store.requests.add("acme", exercise, digests, "renewals")
        if index == 0:
            await store.requests.step(reference, RequestState.EXTENDED, handling)
        if index == 3:
            await store.requests.step(reference, RequestState.REFUSED, handling)


async def press(store: Store, right: Right, index: int, due: date | None = None) -> str:
    """A right pressed in a call; returns its reference."""
    number = made.numbers(80)[70 + index]
    call: OpenedCall = made.call(number=number)
    await store.calls.open(call, made.question(call))
    await store.calls.commit_heard(call.id, "pl-1", None, heard())
    journal = made.journal("key_pressed", key="7", action=right.value, stage="notice")
    exercise = replace(
        made.exercise(right), number=number.e164, received_at=datetime.now(UTC), language="pl",
        due=due or deadlines.due(datetime.now(UTC), "PL"), purpose="odnowienie umowy", notice_version="pl-1",
    )  # fmt: skip
    reference = await store.calls.register_right(call, exercise, journal)
    ended = made.journal("right_registered", right=right.value, reference=reference)
    await store.calls.close(call.id, "right_exercised", right.value, ended)
    return reference
