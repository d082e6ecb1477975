"""Stores recordings that could not be stored when their call ended, and clears the spool of files no longer needed."""

import asyncio
import contextlib
from uuid import UUID

import structlog

from ccari.errors import RecordingDelayed, RecordingError, RefusedError, StoreError
from ccari.gating.journal import entry
from ccari.policy.recording import RecordingState
from ccari.ports.metering import UNMETERED, Filed, Meter, Work
from ccari.ports.recordings import Backlog, Spool, Unfinished, changed, lost_fields
from ccari.recordings.archive import FileArchive

_log = structlog.get_logger()

#: Why a recording is lost if no service looks after its Asterisk any more.
DESERTED = "its Asterisk has had no call for a week, and its file is not in this node's spool"
#: How often the spool is looked at, unless a call leaves a file sooner.
LOOK_AGAIN_SECONDS = 60.0


class Caretaker:
    """Each spool has one caretaker: the service that holds its Asterisk."""

    def __init__(
        self, spool: Spool, archive: FileArchive, backlog: Backlog, meter: Meter = UNMETERED
    ) -> None:
        self._meter = meter
        self._spool = spool
        self._archive = archive
        self._backlog = backlog
        # files without sound that could not be removed
        self._empty: set[UUID] = set()

    async def run(self, holds: asyncio.Event) -> None:
        """Tend the spool until cancelled, while the service ``holds`` its Asterisk."""
        while True:
            await holds.wait()
            try:
                await self.tend()
                self._meter.done(Work.SPOOL)
            except (RecordingError, StoreError) as error:
                self._meter.failed(Work.SPOOL)
                _log.warning("recordings_left", reason=str(error))
            except Exception:  # noqa: BLE001 - logged; what was left must not stay so
                self._meter.failed(Work.SPOOL)
                _log.exception("recordings_left")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_AGAIN_SECONDS):
                    await self._archive.until_left()

    async def tend(self) -> int:
        """Store what waits in the spool, and remove what is no longer needed there. Returns how many recordings were stored.

        Raises
        ------
        RecordingDelayed
            If the spool or the recordings folder cannot be read.
        StoreError
            If the database cannot be asked.
        """
        in_spool = list(await self._spool.recording_ids())
        for recording_id in await self._backlog.settled(await self._archive.drafts()):
            await self._archive.tidy(recording_id)
        self._empty.intersection_update(in_spool)
        for recording_id in {*await self._backlog.settled(in_spool), *self._empty}:
            await self._remove(recording_id)
        with_sound = [each for each in in_spool if each not in self._empty]
        stored = sum([await self._try_to_store(each) for each in await self._backlog.waiting(with_sound)])
        if late := await self._backlog.late():
            _log.warning(
                "recordings_late",
                recordings=late,
                advice="look for recording_delayed in the log, and run: ccari doctor",
            )
            for each in await self._backlog.deserted(in_spool):
                await self._desert(each)
        return stored

    async def _remove(self, recording_id: UUID) -> None:
        """Logs a file that cannot be removed, so that other recordings are still stored."""
        try:
            await self._spool.remove(recording_id)
        except RecordingError as error:
            _log.warning("recording_left", reason=str(error))

    async def _desert(self, unfinished: Unfinished) -> None:
        """Settle a recording that would otherwise seem to run for ever and block the erasure of its call. If it may
        be kept and its file does arrive, it is stored after all.
        """
        tag, state, journal = unfinished.tag, RecordingState.DISCARDED, []
        # nobody asked its Asterisk: it may have started without that being written
        if unfinished.may_be_kept:
            state = RecordingState.FAILED
            journal = [entry("recording_lost", lost_fields(tag.recording_id, DESERTED))]
        try:
            if await self._backlog.given_up(tag, state, journal) and journal:
                _log.warning("recording_lost", call_id=str(tag.call_id), reason=DESERTED)
                self._meter.filed(Filed.LOST)
        except RefusedError:
            _log.error("recording_left", call_id=str(tag.call_id), reason=changed(tag.call_id))

    async def _try_to_store(self, waiting: Unfinished) -> bool:
        """Logs a recording whose call was tampered with, so that other recordings are still stored."""
        call_id = waiting.tag.call_id
        try:
            return await self._store(waiting)
        except RefusedError:
            _log.error("recording_left", call_id=str(call_id), reason=changed(call_id))
            return False

    async def _store(self, waiting: Unfinished) -> bool:
        tag, call_id, kept = waiting.tag, str(waiting.tag.call_id), None
        try:
            if not waiting.may_be_kept:
                if await self._backlog.given_up(tag, RecordingState.DISCARDED, ()):
                    self._meter.filed(Filed.DISCARDED)
            elif await self._backlog.taken_up(tag):
                kept = await self._archive.keep(
                    tag, waiting.until, ended=waiting.ended, lead_ms=waiting.lead_ms
                )
        except RecordingDelayed as error:
            _log.warning("recording_delayed", call_id=call_id, reason=str(error))
            return False
        except RecordingError as error:
            await self._lose(waiting, str(error))
        if kept is not None and await self._backlog.stored_first(
            tag, kept, [entry("recording_stored", kept.journal_fields)]
        ):
            _log.info("recording_stored", call_id=call_id, **kept.journal_fields)
            self._meter.filed(Filed.STORED)
        await self._remove(tag.recording_id)
        return kept is not None

    async def _lose(self, waiting: Unfinished, reason: str) -> None:
        """Report it as lost, but only once: every round finds a file without sound that cannot be removed."""
        tag = waiting.tag
        if waiting.told_lost:
            await self._backlog.given_up(tag, RecordingState.FAILED, ())
        else:
            _log.warning("recording_lost", call_id=str(tag.call_id), reason=reason)
            self._meter.filed(Filed.LOST)
            journal = [entry("recording_lost", lost_fields(tag.recording_id, reason))]
            await self._backlog.given_up(tag, RecordingState.FAILED, journal)
        self._empty.add(tag.recording_id)
