"""Taking stock once connected: what an earlier run, or a lost connection, has left in Asterisk and in the database."""

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog

from ccari.calls.desk import Desk
from ccari.calls.events import call_of
from ccari.calls.talks import Talk, talks_to_take_up
from ccari.calls.transport import LinkLost
from ccari.errors import AsteriskError, RecordingError, RefusedError
from ccari.gating.journal import entry
from ccari.ports.metering import Filed
from ccari.ports.recordings import NOT_THERE, RecordingTag, Unfinished, changed, lost_fields

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Stock:
    """What was left. ``talks`` go on, and are to be taken up; ``handed_over`` are channels that the dialplan must get back;
    ``counts``: how much there was of each kind, for the log.
    """

    talks: Sequence[Talk]
    counts: Mapping[str, int]
    handed_over: Sequence[str] = ()


async def recover(desk: Desk, ours: Callable[[], set[str]]) -> Stock:
    """End what an earlier run has left, but for talks that can be taken up.

    ``ours`` gives the channels that have entered over this connection. It is asked late, since calls keep coming in.

    Raises
    ------
    LinkLost
        If the connection ends meanwhile: whoever holds this Asterisk now may have begun calls, which are not to be ended here.
    AsteriskError, StoreError
        If Asterisk does not say, or the database fails.
    """
    began, since = time.monotonic(), await desk.store.clock()
    # refused while rights wait to be registered: only then does the database know which recordings they end
    talks = await talks_to_take_up(desk, await desk.ari.bridges())
    unfinished = await desk.recordings.unfinished(desk.asterisk)
    ended = [each for each in unfinished if not await _runs_on(desk, talks, each)]
    for each in ended:
        for name in each.tag.raw_names:
            with contextlib.suppress(AsteriskError):
                await desk.ari.stop_recording(name, keep=each.may_be_kept)
    swept = await _sweep(desk, ours, talks)
    kept = 0
    for each in ended:
        with _others_spared(each):
            kept += await _settle(desk, each)
    for each in await _missing(desk):
        with _others_spared(each):
            await _lose(desk, each)
    calls = [each.ids.call for each in talks]
    # not those that have been opened meanwhile: this service may have stood still, and another have taken Asterisk over
    abandoned = await desk.store.close_abandoned(desk.asterisk, datetime.now(UTC), calls, opened_before=since)
    return Stock(talks, {
        "resumed_talks": len(talks), "swept_channels": len(swept), "kept_recordings": kept, "abandoned_calls": abandoned,
        "stock_ms": round((time.monotonic() - began) * 1000),
    }, [each for each in swept if call_of(each) is None])  # fmt: skip


async def _runs_on(desk: Desk, talks: Sequence[Talk], recording: Unfinished) -> bool:
    """Whether the recording runs on, as that of a talk that is taken up."""
    talk = next((each for each in talks if each.ids.call == recording.tag.call_id), None)
    if talk is None:
        return False
    if recording.until is not None:
        # the recording was refused: that is durable, though the talk was kept before
        talk.kept = {**talk.kept, "refused": True}
    if not talk.may_record_on:
        return False
    if not all([await desk.ari.is_recording(name) for name in recording.tag.raw_names]):
        return False
    talk.running = recording
    return True


async def _sweep(desk: Desk, ours: Callable[[], set[str]], talks: Sequence[Talk]) -> list[str]:
    """Hang up legs and destroy bridges that an earlier run has made. Gives the channels that were found: those legs, and what
    the dialplan had handed over. The latter are given back later: while a prompt of the earlier run plays, that would wait.
    """
    # a channel is listed only after its StasisStart was sent, and that comes before the list
    listed = await desk.ari.own_channels()
    known = ours().union(*(each.channels for each in talks))
    together = {each.ids.bridge for each in talks}
    strangers = [channel for channel in listed if channel not in known]
    for channel in strangers:
        if call_of(channel) is not None:
            with contextlib.suppress(AsteriskError):
                await desk.ari.hang_up(channel)
    for bridge in await desk.ari.bridges():
        if call_of(bridge) is not None and bridge not in together:
            await desk.ari.destroy_bridge(bridge)
    return strangers


async def _settle(desk: Desk, unfinished: Unfinished) -> bool:
    """Leave a recording that was cut short to the caretaker, with its tag: calls come first. True if there is a file to keep.

    Nothing that was said after a refusal is kept, even if nobody was there to stop the recorder.
    """
    tag, recordings, journal = unfinished.tag, desk.recordings, []
    state = "discarded"
    try:
        # the callee's side is the last, and the one without which there is no recording
        *_, left = [await desk.ari.recorded(each) for each in tag.raw_names]
        if not unfinished.may_be_kept:
            await desk.archive.discard(tag.recording_id)
        elif left or await desk.archive.has(tag.recording_id):
            await recordings.finished(tag, unfinished.until, ())
            desk.archive.leave()
            return True
        elif unfinished.begun:
            state, journal = "failed", [entry("recording_lost", lost_fields(tag.recording_id, NOT_THERE))]
    except LinkLost:
        raise
    except (AsteriskError, RecordingError) as error:
        _log.warning("recording_left", call_id=str(tag.call_id), reason=str(error))
    else:
        await recordings.ended(tag, state, journal)
        if journal:
            _tell_lost(desk, tag)
    return False


async def _missing(desk: Desk) -> list[Unfinished]:
    """The recordings that wait to be archived, but whose file neither Asterisk nor the spool has: they would wait for ever. An
    empty list if one of the two cannot be asked.
    """
    waiting = await desk.recordings.waiting_on(desk.asterisk)
    if not waiting:
        return []
    try:
        lying = await desk.archive.in_spool()
        return [
            each
            for each in waiting
            if each.tag.recording_id not in lying and not await desk.ari.recorded(each.tag.raw_names[-1])
        ]
    except LinkLost:
        raise
    except (AsteriskError, RecordingError) as error:
        _log.warning("recordings_left", reason=str(error))
        return []


async def _lose(desk: Desk, missing: Unfinished) -> None:
    """Record that a file is lost, unless it was archived meanwhile. If the file does come back, it is taken up again."""
    tag, state, journal = missing.tag, "discarded", []
    if missing.begun and missing.may_be_kept:
        state, journal = "failed", [entry("recording_lost", lost_fields(tag.recording_id, NOT_THERE))]
    if await desk.recordings.given_up(tag, state, journal) and journal:
        _tell_lost(desk, tag)


def _tell_lost(desk: Desk, tag: RecordingTag) -> None:
    _log.warning("recording_lost", call_id=str(tag.call_id), reason=NOT_THERE)
    desk.meter.filed(Filed.LOST)


@contextlib.contextmanager
def _others_spared(recording: Unfinished) -> Iterator[None]:
    """A call that was tampered with must not hold up the recordings of other calls, nor the start of the service."""
    try:
        yield
    except RefusedError:
        call_id = recording.tag.call_id
        _log.error("recording_left", call_id=str(call_id), reason=changed(call_id))
