"""Gives calls their sounds without waiting for a disk that hangs: only a thread of its own looks at the files."""

import asyncio
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from time import monotonic

from ccari.config import Settings
from ccari.errors import SoundError
from ccari.own_threads import OwnThreads, in_time
from ccari.policy.campaign import Campaign
from ccari.policy.parties import Controller
from ccari.ports.sounds import Script, Sound
from ccari.sounds.copies import Copies, open_copies
from ccari.sounds.soundboard import LOOK_SECONDS, Checked, Soundboard, open_soundboard

#: How long, in seconds, calls wait for a look before they are refused: over FastAGI the whole gate has three.
ANSWER_SECONDS = 2.0
#: How long, in seconds, the start waits for the first look at a campaign's sounds, which reads them all.
FIRST_SECONDS = 10.0
#: How long, in seconds, a thread hangs before another one takes its place, as often as several hang already; and how many may hang. Whoever
#: mounts a disk anew beside a dead one (umount --lazy) is answered, but what has asked the dead one never is.
HUNG_SECONDS, MOST_HUNG = 60.0, 20
#: How long, in seconds, until copies that failed are made again: the disk may be full until then.
COPY_AGAIN_SECONDS = 60.0


class _HangsError(SoundError):
    """The disk does not answer."""


@dataclass(slots=True)
class _Look:
    """A look at the sounds of one campaign, as it was declared to be. ``since``: when it was asked for, or if it has to wait for another
    look at them, that one. ``has_begun``: set by the thread; whoever asks later may have spoilt a file in between.
    """

    of: tuple[Controller, Campaign]
    since: float
    working: asyncio.Future[Checked]
    has_begun: threading.Event


@dataclass(frozen=True, slots=True)
class _Copying:
    """``since``: when it was begun. ``is_first``: none has failed before, so calls wait for it."""

    found: Checked
    task: asyncio.Task[bool]
    since: float
    is_first: bool

    @property
    def has_failed(self) -> bool:
        task = self.task
        return task.done() and (task.cancelled() or task.exception() is not None or not task.result())


class Prompter:
    """:class:`ccari.ports.sounds.Prompts` over a soundboard. ``copies``: keeps copies of what the scripts play.
    ``clock``: in seconds, for the age of a look.
    """

    def __init__(self, board: Soundboard, copies: Copies, clock: Callable[[], float] = monotonic) -> None:
        self._board = board
        self._copies = copies
        self._clock = clock
        self._thread = _one_thread()
        #: How many threads were left because they hang, and still do.
        self._hung = 0
        #: The last look at each campaign's sounds, and the last that found them whole.
        self._looks: dict[str, _Look] = {}
        self._whole: dict[str, _Look] = {}
        #: The task that copies what a look has found.
        self._copying: dict[str, _Copying] = {}

    async def scripts(
        self, controller: Controller, campaign: Campaign, *, lately: bool = False, heard: bool = False
    ) -> Mapping[str, Script]:
        """By a look that has not begun before; with ``lately``, without waiting if the last one is less than :data:`LOOK_SECONDS` old. All
        who ask before it begins wait for the same one, at most :data:`ANSWER_SECONDS`.
        """
        whole = self._whole.get(campaign.id)
        if whole is None or whole.of != (controller, campaign):
            whole = await self._look(controller, campaign, ANSWER_SECONDS)
        elif not lately or self._clock() - whole.since >= LOOK_SECONDS:
            try:
                whole = await self._look(controller, campaign, ANSWER_SECONDS)
            except _HangsError:
                if not heard:
                    raise
        return whole.working.result().scripts

    async def prepare(self, controller: Controller, campaign: Campaign) -> None:
        """Look at the sounds and copy them before the first call, one campaign after the other. Raises SoundError as :meth:`scripts` does,
        but waits for up to :data:`FIRST_SECONDS`, unless the look at another campaign's still hangs.
        """
        now = self._clock()
        hangs = any(
            not each.working.done() and now - each.since >= ANSWER_SECONDS for each in self._looks.values()
        )
        await self._look(controller, campaign, 0.0 if hangs else FIRST_SECONDS)
        await self.keep(campaign)

    async def _look(self, controller: Controller, campaign: Campaign, seconds: float) -> _Look:
        self._leave_what_hangs()
        look = self._looks.get(campaign.id)
        if look is None or look.has_begun.is_set() or look.of != (controller, campaign):
            look = self._looks[campaign.id] = self._begin(controller, campaign, after=look)
        try:
            await in_time(look.working, look.since + seconds - self._clock())
        except TimeoutError:
            raise _HangsError(
                f"the disk does not say in time whether the sounds are there: {self._board.folder}"
            ) from None
        return look

    def _leave_what_hangs(self) -> None:
        """Go on with another thread if this one has hung for too long. It needs a board of its own, as the other may still change that one."""
        unfinished = [each for each in self._looks.values() if not each.working.done()]
        oldest = min(unfinished, key=lambda each: each.since, default=None)
        if oldest is None or self._hung == MOST_HUNG:
            return
        if self._clock() - oldest.since >= HUNG_SECONDS * (1 + self._hung):
            self._hung += 1
            oldest.working.add_done_callback(self._hangs_no_more)
            self._board, self._thread = self._board.afresh(), _one_thread()
            self._looks.clear()

    def _hangs_no_more(self, _: asyncio.Future[Checked]) -> None:
        self._hung -= 1

    def _begin(self, controller: Controller, campaign: Campaign, after: _Look | None) -> _Look:
        has_begun = threading.Event()

        def work(board: Soundboard) -> Checked:
            has_begun.set()
            return board.look(controller, campaign)

        since = self._clock() if after is None or after.working.done() else after.since
        look = _Look((controller, campaign), since, self._thread.begin(work, self._board), has_begun)
        look.working.add_done_callback(partial(self._looked, look, self._thread))
        return look

    def _looked(self, look: _Look, thread: OwnThreads, working: asyncio.Future[Checked]) -> None:
        """Take note of what was found. The thread ends its looks in the order in which they were asked for; one that was left is late."""
        if thread is not self._thread:
            return
        _, campaign = look.of
        if working.cancelled() or working.exception():
            self._whole.pop(campaign.id, None)
        else:
            self._whole[campaign.id] = look

    async def keep(self, campaign: Campaign) -> None:
        """Runs in a thread, once for all calls; what was copied is not checked again. If it fails, it is tried again later, and no call waits
        for that.
        """
        whole = self._whole.get(campaign.id)
        if whole is None:
            return
        found, copying = whole.working.result(), self._copying.get(campaign.id)
        if copying is None or copying.found is not found:
            copying = self._copy(campaign, found)
        elif copying.has_failed and self._clock() - copying.since >= COPY_AGAIN_SECONDS:
            copying = self._copy(campaign, found, is_first=False)
        if copying.is_first and not copying.task.done():
            # shielded, so that cancelling one call does not stop the copying for others
            await asyncio.shield(copying.task)

    def _copy(self, campaign: Campaign, found: Checked, *, is_first: bool = True) -> "_Copying":
        task = asyncio.create_task(self._copies.keep_all(found.heard, found.said))
        copying = self._copying[campaign.id] = _Copying(found, task, self._clock(), is_first)
        return copying

    async def replaced(self, played: Iterable[Sound]) -> list[Sound]:
        try:
            return await self._thread.within(ANSWER_SECONDS, self._board.replaced, played)
        except _HangsError:
            return []

    async def common(self, prompt: str, language: str) -> Sound:
        return await self._thread.within(ANSWER_SECONDS, self._board.common, prompt, language)

    async def source(self, words: str, language: str) -> Sound:
        return await self._thread.within(ANSWER_SECONDS, self._board.source, words, language)


def _one_thread() -> OwnThreads:
    """One, since a look uses what the one before has found."""
    return OwnThreads("ccari-sounds", _HangsError, threads=1)


def open_prompter(settings: Settings) -> Prompter:
    """The sounds of the configured folder, with the shipped ones as a fallback, and their copies in ``data_dir``."""
    return Prompter(open_soundboard(settings), open_copies(settings))
