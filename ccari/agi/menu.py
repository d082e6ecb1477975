"""The keys menu: plays the menu, takes keys, and says what came of them, within a limited time."""

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable, Mapping

import structlog

from ccari.agi.exercising import Exercising
from ccari.agi.session import GoneError, Session
from ccari.gating.journal import Journal
from ccari.policy import confirmations
from ccari.policy.campaign import Campaign, NoticePrompt
from ccari.policy.keypad import KeyAction, noted
from ccari.policy.rights import Right
from ccari.ports.sounds import Sound
from ccari.tasks import started, to_its_end

_log = structlog.get_logger()

#: How often the menu is played at most. A key without a meaning is answered with the menu.
MENU_ROUNDS = 3
#: How long to wait for a key after the menu; people take two or three seconds.
KEY_SECONDS = 5.0
#: Limits one visit, or a peer that always answers with a key would stay for ever. The dialplan's own time-out is longer.
MENU_SECONDS = 240.0
#: The most keys obeyed in one visit; a person presses a handful.
MOST_KEYS = 40
#: How often to check whether a right is registered. Asterisk listens for keys in between: it drops keys
#: pressed while no command waits for them.
LISTEN_SECONDS = 0.1
#: Time-out for looking up the source of a person's number. After that, the campaign's own source is said.
SOURCE_SECONDS = 3.0
#: How much longer than its file a playback may take.
PLAYBACK_GRACE_SECONDS = 5.0

_KEYS = "0123456789*#"
_KEYS_BY_CODE = {str(ord(key)): key for key in _KEYS}


async def play(session: Session, sound: Sound) -> str | None:
    """Play a sound until it ends or a key is pressed. Gives the key.

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
    """The key pressed within so many seconds; None if none was."""
    reply = await session.command(
        "WAIT", "FOR", "DIGIT", str(round(seconds * 1000)), seconds=seconds + PLAYBACK_GRACE_SECONDS
    )
    return _key(reply.result)


def _key(result: str) -> str | None:
    """The key in a reply, given by its character code: 0 if no key was pressed, -1 if the channel has hung up."""
    if result == "-1":
        raise GoneError("the channel has hung up")
    return _KEYS_BY_CODE.get(result)


async def _within_limit(finding: Awaitable[Sound | None]) -> Sound | None:
    """The sound of a source, or None if finding it takes longer than :data:`SOURCE_SECONDS`."""
    with contextlib.suppress(TimeoutError):
        return await asyncio.wait_for(finding, SOURCE_SECONDS)
    return None


class Menu:
    """One person's visit to the menu. ``source`` finds the sound that says where their own number comes from,
    if there is one.
    """

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
        #: The rights told to the dialplan, with their references.
        self._references: dict[Right, str] = {}
        #: Once set, only ``_last_keys`` are taken, each once.
        self._closing = False
        self._last_keys: set[str] = set()

    async def run(self) -> None:
        """Run the menu until no more keys are pressed, or too many were.

        Raises
        ------
        AgiError
            If the channel is gone. The rights pressed are registered even then, and also if the service stops or the menu fails.
        """
        patient = True
        try:
            try:
                await self._converse()
            finally:
                await to_its_end(self._register_rest())
        except asyncio.CancelledError:
            patient = False
            raise
        finally:
            await self._exercising.close(patient=patient)

    async def _register_rest(self) -> None:
        """Register the rights that were pressed but not yet obeyed when the channel hung up or the service stopped."""
        rights = {right: key for key in self._pressed if (right := self._right_of(key)) is not None}
        for right, key in rights.items():
            if right not in self._references:
                self._note(key)
                await self._exercising.exercise(right, key)

    async def _converse(self) -> None:
        clock = asyncio.get_running_loop().time
        until = clock() + MENU_SECONDS
        obeyed = rounds = 0
        while True:
            if not self._closing and (obeyed >= MOST_KEYS or clock() >= until):
                self._begin_closing(obeyed)
            if self._pressed:
                obeyed += 1
                await self._obey(self._pressed.popleft())
                continue
            if self._upcoming:
                await self._play_next()
                continue
            if self._closing or self._references or rounds == MENU_ROUNDS:
                return
            rounds += 1
            key = await self._play_menu() or await _wait(self._session, KEY_SECONDS)
            if key is None:
                return
            self._take(key)

    def _begin_closing(self, obeyed: int) -> None:
        """Take no more keys, except each right once: those pressed already, and those pressed during the last answers."""
        _log.warning("rights_menu_cut_off", campaign=self._campaign.id, keys=obeyed)
        self._closing = True
        self._pressed = deque(key for key in dict.fromkeys(self._pressed) if self._right_of(key) is not None)
        self._last_keys = {key for key in self._campaign.keys if self._right_of(key)} - {*self._pressed}

    async def _play_menu(self) -> str | None:
        menu = self._sounds.get(NoticePrompt.RIGHTS.value)
        if menu is None:
            # the campaign's notice leaves the rights out, so no sound names the keys; they work anyway
            _log.warning("rights_menu_untold", campaign=self._campaign.id)
            return None
        return await play(self._session, menu)

    async def _obey(self, key: str) -> None:
        self._note(key)
        if self._campaign.keys.get(key) is KeyAction.DATA_SOURCE:
            await self._find_source()
            self._queue_prompts(NoticePrompt.SOURCE.value)
        right = self._right_of(key)
        if right is not None and right not in self._references:
            await self._exercise(right, key)

    async def _find_source(self) -> None:
        """Look up the source of the person's number, once in a visit. Keys are taken meanwhile."""
        source, self._source = self._source, None
        if source is None:
            return
        async with started(_within_limit(source())) as (finding,):
            while not finding.done():
                self._take(await _wait(self._session, LISTEN_SECONDS))
        sound: Sound | None = finding.result()
        if sound is not None:
            self._sounds = {**self._sounds, NoticePrompt.SOURCE.value: sound}

    def _note(self, key: str) -> None:
        action = self._campaign.keys.get(key)
        self._journal.note(
            "key_pressed", {"key": noted(key, action), "action": action.value if action else "none"}
        )

    def _right_of(self, key: str) -> Right | None:
        action = self._campaign.keys.get(key)
        return action.right if action else None

    async def _exercise(self, right: Right, key: str) -> None:
        exercising = asyncio.create_task(self._exercising.exercise(right, key))
        try:
            while not exercising.done():
                self._take(await _wait(self._session, LISTEN_SECONDS))
        finally:
            # even if the person hangs up or the service stops: a right that was pressed must not be lost
            answer = await to_its_end(exercising)
            if answer.reference is not None:
                self._references[right] = answer.reference
        if answer.reference is not None:
            await self._session.set_variable("CCARI_RIGHT", ",".join(self._references))
            await self._session.set_variable("CCARI_REFERENCE", ",".join(self._references.values()))
        self._queue_prompts(*answer.words)

    def _queue_prompts(self, *prompts: str) -> None:
        """Queue prompts after those that are waiting. The date of the answer is said once, after all others."""
        waiting = dict.fromkeys((*self._upcoming, *prompts))
        self._upcoming = tuple(sorted(waiting, key=confirmations.tells_until_when))

    async def _play_next(self) -> None:
        """Play the next prompt. A key pressed meanwhile is obeyed afterwards. A key cuts its sound short. In
        a prompt of several sounds, such as a reference, that sound is repeated, because a missing digit would
        make it another reference.
        """
        prompt, *rest = self._upcoming
        self._upcoming = tuple(rest)
        parts = confirmations.spelt_out(prompt)
        for sound in filter(None, map(self._sounds.get, parts)):
            key = await play(self._session, sound)
            self._take(key)
            if key is not None and len(parts) > 1:
                self._take(await play(self._session, sound))

    def _take(self, key: str | None) -> None:
        """Queue a key that was pressed, unless too many are waiting."""
        if key is None:
            return
        if key in self._last_keys if self._closing else len(self._pressed) < MOST_KEYS:
            self._last_keys.discard(key)
            self._pressed.append(key)
