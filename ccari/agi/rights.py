"""``AGI(agi://HOST:4573/rights,CAMPAIGN)``: the keys menu, for whoever is on a channel that is not in Stasis."""

import asyncio
from collections import deque
from dataclasses import dataclass, field, replace
from uuid import uuid4

import structlog

from ccari.agi.desk import Asked, Counter
from ccari.agi.session import GoneError, Session
from ccari.errors import CcariError, SoundError
from ccari.gating.gatekeeper import Gatekeeper
from ccari.gating.journal import Journal, persistently
from ccari.gating.labels import agent_name, label
from ccari.gating.terms import Terms
from ccari.policy import notices
from ccari.policy.campaign import NoticePrompt
from ccari.policy.gate import Block
from ccari.policy.keypad import KeyAction
from ccari.policy.messages import Outcome
from ccari.policy.rights import Level, Right
from ccari.ports.sounds import Sound

_log = structlog.get_logger()

#: How often the menu is told; a key that means nothing is answered with the menu.
MENU_ROUNDS = 3
#: For a key once the menu has been told; reaching for it takes two or three.
KEY_SECONDS = 5.0
#: Between looks at whether a right is registered, while the keys stay live: Asterisk drops what is pressed when no
#: command waits for it.
LISTEN_SECONDS = 0.1
#: For what the policy and the secrets have to say.
TERMS_SECONDS = 3.0
#: How much longer than its file a playback may take to be answered.
PLAYBACK_GRACE_SECONDS = 5.0
#: When no campaign says in which language to apologise.
LANGUAGE = "pl"

_KEYS = "0123456789*#"
NONE = "none"


async def rights(session: Session, counter: Counter) -> None:
    """Tell the keys, register what is pressed, confirm it, and leave it in ``CCARI_RIGHT`` and ``CCARI_REFERENCE``.

    Several rights are told one behind the other, with commas between them. ``refuse_recording`` is registered and not
    confirmed: what records here is the dialplan's, and so it is the dialplan that stops it and says so.

    Raises
    ------
    AgiError
        If the channel is gone. What was pressed is registered all the same.
    """
    await session.set_variable("CCARI_RIGHT", NONE)
    await session.set_variable("CCARI_REFERENCE", NONE)
    caller = await _caller(session)
    campaign = session.arguments[0] if len(session.arguments) == 1 else None
    agent = agent_name(session.head.get("agi_channel", ""))
    asked = Asked(None if campaign is None else caller.number, label(campaign or ""), agent)
    call = uuid4()
    journal = Journal(call, agent)
    journal.bind(way="fastagi", campaign=asked.campaign)
    await session.command("ANSWER")
    terms = await _terms(Gatekeeper(asked, call, counter, journal))
    if not isinstance(terms, Terms):
        reason = terms.value if caller.number or campaign is None else "number_withheld"
        _log.warning("rights_menu_failed", call_id=str(call), campaign=asked.campaign, reason=reason)
        await _apologise(session, counter, asked.campaign)
        return
    journal.bind(controller=terms.controller.id, number=terms.known_number.masked)
    await _Menu(session, counter, terms, caller, journal).run()


@dataclass(frozen=True, slots=True)
class _Caller:
    """Whose rights they are: ``number`` as it came, and how sure it is (see :class:`Level`)."""

    number: str = field(repr=False)
    number_from: str
    level: Level


async def _caller(session: Session) -> _Caller:
    """Who was called, where our gate let the call through; else who calls, unless that is withheld."""
    dialled = await session.variable("CCARI_NUMBER")
    if dialled:
        return _Caller(dialled, "dialled", Level.L1)
    shown = session.head.get("agi_callingpres", "0")
    # bits 6 and 7 of the presentation: 0 is allowed (Q.931, 4.5.10)
    withheld = not shown.isdigit() or int(shown) & 0x60 != 0
    told = session.head.get("agi_callerid", "unknown")
    return _Caller("" if withheld or told == "unknown" else told, "caller_id", Level.L0)


async def _terms(gatekeeper: Gatekeeper) -> Terms | Block:
    try:
        async with asyncio.timeout(TERMS_SECONDS):
            return await gatekeeper.terms()
    except SoundError:
        return Block.PROMPTS_MISSING
    except (CcariError, TimeoutError):
        return Block.STORE_UNAVAILABLE


async def _apologise(session: Session, counter: Counter, campaign_id: str) -> None:
    policy = counter.book.policy
    campaign = policy.campaign(campaign_id) if policy else None
    try:
        sound = counter.prompts.common(notices.RIGHT_FAILED, campaign.language if campaign else LANGUAGE)
    except SoundError as error:
        _log.error("prompt_missing", reason=str(error))
        return
    await _play(session, sound)


async def _play(session: Session, sound: Sound) -> str | None:
    """Play to the end, or to the first key, which is given."""
    seconds = sound.duration_ms / 1000 + PLAYBACK_GRACE_SECONDS
    reply = await session.command(
        "STREAM", "FILE", sound.media.removeprefix("sound:"), _KEYS, seconds=seconds
    )
    if reply.result == "0" and reply.data == "endpos=0":
        _log.error("prompt_not_played", media=sound.media)
    return _key(reply.result)


async def _wait(session: Session, seconds: float) -> str | None:
    """A key, if one is pressed in time."""
    reply = await session.command(
        "WAIT", "FOR", "DIGIT", str(round(seconds * 1000)), seconds=seconds + PLAYBACK_GRACE_SECONDS
    )
    return _key(reply.result)


def _key(result: str) -> str | None:
    """The key of a reply, which gives it as its character's number; 0 for none, -1 when the channel has gone."""
    if result == "-1":
        raise GoneError("the channel has hung up")
    return chr(int(result)) if result.isdigit() and chr(int(result)) in _KEYS else None


class _Menu:
    """One person at the keys."""

    def __init__(
        self, session: Session, counter: Counter, terms: Terms, caller: _Caller, journal: Journal
    ) -> None:
        self._session = session
        self._counter = counter
        self._terms = terms
        self._caller = caller
        self._journal = journal
        self._pressed: deque[str] = deque()
        self._registered: dict[Right, str] = {}

    async def run(self) -> None:
        try:
            await self._converse()
        finally:
            await self._close()

    async def _converse(self) -> None:
        rounds = 0
        while self._pressed or (not self._registered and rounds < MENU_ROUNDS):
            if self._pressed:
                await self._obey(self._pressed.popleft())
                continue
            rounds += 1
            key = await self._tell() or await _wait(self._session, KEY_SECONDS)
            if key is None:
                return
            self._pressed.append(key)

    async def _tell(self) -> str | None:
        sounds = self._terms.script.sounds
        menu = sounds.get(NoticePrompt.RIGHTS.value)
        if menu is None:
            # the campaign's notice leaves the rights out, so there are no words for its keys: they work all the same
            _log.warning("rights_menu_untold", campaign=self._terms.campaign.id)
            return None
        return await _play(self._session, menu)

    async def _obey(self, key: str) -> None:
        action = self._terms.campaign.keys.get(key)
        self._journal.note("key_pressed", {"key": key, "action": action.value if action else "none"})
        if action is KeyAction.DATA_SOURCE:
            await self._say(NoticePrompt.SOURCE.value)
        right = action.right if action else None
        if right is not None and right not in self._registered:
            await self._exercise(right, key)

    async def _exercise(self, right: Right, key: str) -> None:
        registering = asyncio.create_task(self._register(right, key))
        try:
            while not registering.done():
                self._press(await _wait(self._session, LISTEN_SECONDS))
        finally:
            # the person has hung up, or the service stops: a right that was pressed is never lost
            await asyncio.wait([registering])
        if registering.result() is None:
            await self._say(notices.RIGHT_FAILED)
            return
        await self._session.set_variable("CCARI_RIGHT", ",".join(self._registered))
        await self._session.set_variable("CCARI_REFERENCE", ",".join(self._registered.values()))
        if right is not Right.REFUSE_RECORDING:
            for words in notices.confirmation(right, recorded=False):
                await self._say(words)

    async def _register(self, right: Right, key: str) -> str | None:
        """Its reference, once it is durable; None if it could not be made so."""
        try:
            reference = self._registered[right] = await self._make_durable(right, key)
        except CcariError as error:
            self._journal.note("right_failed", {"right": right.value})
            _log.error("right_not_registered", call_id=str(self._terms.opened.id), reason=str(error))
            return None
        self._journal.note("right_registered", {"right": right.value, "reference": reference})
        return reference

    async def _make_durable(self, right: Right, key: str) -> str:
        """Register it, with a row for the call that it was pressed in."""
        store, opened = self._counter.store, self._terms.opened
        if not self._journal.is_open:
            await store.open(opened, self._terms.question())
            self._journal.opened()
        exercise = replace(
            self._terms.exercise(right, key), number_from=self._caller.number_from, level=self._caller.level,
            # the notice was the dialplan's, and so is what records
            notice_version=None, recorded_elsewhere=True,
        )  # fmt: skip
        return await self._journal.durably(lambda entries: store.register_right(opened, exercise, entries))

    async def _say(self, prompt: str) -> None:
        sound = self._terms.script.sounds.get(prompt)
        if sound is not None:
            self._press(await _play(self._session, sound))

    def _press(self, key: str | None) -> None:
        if key is not None:
            self._pressed.append(key)

    async def _close(self) -> None:
        if not self._journal.is_open:
            return
        outcome = Outcome.RIGHT_EXERCISED if self._registered else Outcome.FAILED
        reason = ",".join(self._registered) or "right_failed"
        self._journal.note("call_ended", {"outcome": outcome.value, "reason": reason})
        store, call = self._counter.store, self._terms.opened.id
        await persistently(
            call,
            lambda: self._journal.durably(lambda entries: store.close(call, outcome.value, reason, entries)),
        )
