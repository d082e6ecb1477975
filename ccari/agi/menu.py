"""The keys menu: telling it, hearing keys, and saying what comes of them, for a bounded time."""

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable, Mapping

import structlog

from ccari.agi.exercising import Exercising
from ccari.agi.session import AgiError, GoneError, Session
from ccari.gating.journal import Journal
from ccari.policy import confirmations
from ccari.policy.campaign import Campaign, NoticePrompt
from ccari.policy.keypad import KeyAction
from ccari.policy.rights import Right
from ccari.ports.sounds import Sound

_log = structlog.get_logger()

#: How often the menu is told; a key that means nothing is answered with the menu.
MENU_ROUNDS = 3
#: For a key once the menu has been told; reaching for it takes two or three.
KEY_SECONDS = 5.0
#: For one visit in all. Whatever answers every question with a key would else be asked for ever; the dialplan's own time-out
#: comes after it.
MENU_SECONDS = 240.0
#: Heeded in one visit; a person presses a handful.
MOST_KEYS = 40
#: Between looks at whether a right is registered, while the keys stay live: Asterisk drops what is pressed when no
#: command waits for it.
LISTEN_SECONDS = 0.1
#: To look up where a person's number is from; then it is told as for all of the campaign.
SOURCE_SECONDS = 3.0
#: How much longer than its file a playback may take to be answered.
PLAYBACK_GRACE_SECONDS = 5.0

_KEYS = "0123456789*#"
_KEYS_BY_CODE = {str(ord(key)): key for key in _KEYS}


async def play(session: Session, sound: Sound) -> str | None:
    """Play to the end, or to the first key, which is given.

    Raises
    ------
    AgiError
        If the channel is gone, or no answer came in time.
    """
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
    return _KEYS_BY_CODE.get(result)


async def _in_time(finding: Awaitable[Sound | None]) -> Sound | None:
    with contextlib.suppress(TimeoutError):
        return await asyncio.wait_for(finding, SOURCE_SECONDS)
    return None


class Menu:
    """One person at the keys. ``source``: finds what says where their own number is from, if anything does."""

    def __init__(
        self, session: Session, campaign: Campaign, sounds: Mapping[str, Sound], exercising: Exercising,
        journal: Journal, source: Callable[[], Awaitable[Sound | None]] | None = None,
    ) -> None:  # fmt: skip
        self._session = session
        self._campaign = campaign
        self._sounds = sounds
        self._exercising = exercising
        self._journal = journal
        self._source = source
        self._pressed: deque[str] = deque()
        self._upcoming: tuple[str, ...] = ()
        self._told: dict[Right, str] = {}
        self._closing = False
        self._last_keys: set[str] = set()

    async def run(self) -> None:
        """Until nothing more is pressed, or too much.

        Raises
        ------
        AgiError
            If the channel is gone. What was pressed is registered all the same, as when the service stops.
        """
        patient = True
        try:
            await self._converse()
        except (AgiError, asyncio.CancelledError) as end:
            patient = isinstance(end, AgiError)
            await self._register_rest()
            raise
        finally:
            await self._exercising.close(patient=patient)

    async def _register_rest(self) -> None:
        """What was pressed and not obeyed yet when the channel went, or the service."""
        rights = {right: key for key in self._pressed if (right := self._right_of(key)) is not None}
        for right, key in rights.items():
            if right not in self._told:
                self._note(key)
                await self._exercising.exercise(right, key)

    async def _converse(self) -> None:
        clock = asyncio.get_running_loop().time
        until = clock() + MENU_SECONDS
        heeded = rounds = 0
        while True:
            if not self._closing and (heeded >= MOST_KEYS or clock() >= until):
                self._hear_no_more(heeded)
            if self._pressed:
                heeded += 1
                await self._obey(self._pressed.popleft())
                continue
            if self._upcoming:
                await self._say_next()
                continue
            if self._closing or self._told or rounds == MENU_ROUNDS:
                return
            rounds += 1
            key = await self._tell() or await _wait(self._session, KEY_SECONDS)
            if key is None:
                return
            self._press(key)

    def _hear_no_more(self, heeded: int) -> None:
        """But for each right once more, of what was pressed by now or is while the last answers are said."""
        _log.warning("rights_menu_cut_off", campaign=self._campaign.id, keys=heeded)
        self._closing = True
        self._pressed = deque(key for key in dict.fromkeys(self._pressed) if self._right_of(key) is not None)
        self._last_keys = {key for key in self._campaign.keys if self._right_of(key)} - {*self._pressed}

    async def _tell(self) -> str | None:
        menu = self._sounds.get(NoticePrompt.RIGHTS.value)
        if menu is None:
            # the campaign's notice leaves the rights out, so there are no words for its keys: they work all the same
            _log.warning("rights_menu_untold", campaign=self._campaign.id)
            return None
        return await play(self._session, menu)

    async def _obey(self, key: str) -> None:
        self._note(key)
        if self._campaign.keys.get(key) is KeyAction.DATA_SOURCE:
            await self._find_source()
            self._answer(NoticePrompt.SOURCE.value)
        right = self._right_of(key)
        if right is not None and right not in self._told:
            await self._exercise(right, key)

    async def _find_source(self) -> None:
        """Once in a visit, while the keys stay live."""
        source, self._source = self._source, None
        if source is None:
            return
        finding = asyncio.create_task(_in_time(source()))
        try:
            while not finding.done():
                self._press(await _wait(self._session, LISTEN_SECONDS))
        finally:
            finding.cancel()
        sound = finding.result()
        if sound is not None:
            self._sounds = {**self._sounds, NoticePrompt.SOURCE.value: sound}

    def _note(self, key: str) -> None:
        action = self._campaign.keys.get(key)
        self._journal.note("key_pressed", {"key": key, "action": action.value if action else "none"})

    def _right_of(self, key: str) -> Right | None:
        action = self._campaign.keys.get(key)
        return action.right if action else None

    async def _exercise(self, right: Right, key: str) -> None:
        exercising = asyncio.create_task(self._exercising.exercise(right, key))
        try:
            while not exercising.done():
                self._press(await _wait(self._session, LISTEN_SECONDS))
        finally:
            # the person has hung up, or the service stops: a right that was pressed is never lost
            await asyncio.wait([exercising])
            answer = exercising.result()
            if answer.reference is not None:
                self._told[right] = answer.reference
        if answer.reference is not None:
            await self._session.set_variable("CCARI_RIGHT", ",".join(self._told))
            await self._session.set_variable("CCARI_REFERENCE", ",".join(self._told.values()))
        self._answer(*answer.words)

    def _answer(self, *words: str) -> None:
        """Say it, behind what waits to be said already; until when there will be an answer is told once, behind all."""
        waiting = dict.fromkeys((*self._upcoming, *words))
        self._upcoming = tuple(sorted(waiting, key=confirmations.tells_until_when))

    async def _say_next(self) -> None:
        """A key cuts short one sound, and is obeyed when the prompt is over; a cut digit would make another reference."""
        prompt, *rest = self._upcoming
        self._upcoming = tuple(rest)
        parts = confirmations.spelt_out(prompt)
        for sound in filter(None, map(self._sounds.get, parts)):
            key = await play(self._session, sound)
            self._press(key)
            if key is not None and len(parts) > 1:
                self._press(await play(self._session, sound))

    def _press(self, key: str | None) -> None:
        if key is None:
            return
        if key in self._last_keys if self._closing else len(self._pressed) < MOST_KEYS:
            self._last_keys.discard(key)
            self._pressed.append(key)
