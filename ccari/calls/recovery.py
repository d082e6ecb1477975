"""Take stock after connecting: what an earlier run, or a lost connection, left in Asterisk and in the database."""

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
from ccari.policy.recording import RecordingState
from ccari.ports.metering import Filed
from ccari.ports.recordings import NOT_THERE, RecordingTag, Unfinished, changed, lost_fields

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Stock:
    """What an earlier run has left. ``talks``: talks to be taken up. ``handed_over``: channels that the dialplan must
    get back. ``counts``: how many there were of each kind, for the log.
    """

    talks: Sequence[Talk]
    counts: Mapping[str, int]
    handed_over: Sequence[str] = ()


async def recover(desk: Desk, ours: Callable[[], set[str]]) -> Stock:
    """End what an earlier run left, except talks that can be taken up.

    ``ours`` gives the channels that entered over this connection. It is called late, since calls keep coming in.

    Raises
    ------
    LinkLost
        If the connection ends meanwhile. Another service may then hold this Asterisk, and its calls must not be ended here.
    AsteriskError, StoreError
        If Asterisk does not answer, or the database fails.
    """
    began, since = time.monotonic(), await desk.store.clock()
    # fails while rights wait to be registered: only afterwards does the database know which recordings they end
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
    # spare calls opened meanwhile: if this service stalled, another may have taken over this Asterisk
    abandoned = await desk.store.close_abandoned(desk.asterisk, datetime.now(UTC), calls, opened_before=since)
    return Stock(talks, {
        "resumed_talks": len(talks), "swept_channels": len(swept), "kept_recordings": kept, "abandoned_calls": abandoned,
        "stock_ms": round((time.monotonic() - began) * 1000),
    }, [each for each in swept if call_of(each) is None])  # fmt: skip


async def _runs_on(desk: Desk, talks: Sequence[Talk], recording: Unfinished) -> bool:
    """Whether the recording runs on, as part of a talk that is taken up."""
    talk = next((each for each in talks if each.ids.call == recording.tag.call_id), None)
    if talk is None:
        return False
    if recording.until is not None:
        # the refusal is in the database, although the talk was kept before it
        talk.kept = {**talk.kept, "refused": True}
    if not talk.may_record_on:
        return False
    if not all([await desk.ari.is_recording(name) for name in recording.tag.raw_names]):
        return False
    talk.running = recording
    return True


async def _sweep(desk: Desk, ours: Callable[[], set[str]], talks: Sequence[Talk]) -> list[str]:
    """Hang up channels and destroy bridges that an earlier run made. Gives all channels found: those, and the channels that
    the dialplan had handed over. The latter are given back later, because that would wait for a prompt still playing.
    """
    # list first, compare second: Asterisk sends a channel's StasisStart before any list that contains it
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
    """Leave an interrupted recording to the caretaker, with its tag: calls come first. True if there is a file to keep.

    Nothing said after a refusal is kept, even if no service was there to stop the recorder.
    """
    tag, recordings, journal = unfinished.tag, desk.recordings, []
    state = RecordingState.DISCARDED
    try:
        # the callee's side is the last; without it there is no recording
        *_, left = [await desk.ari.recorded(each) for each in tag.raw_names]
        if not unfinished.may_be_kept:
            await desk.archive.discard(tag.recording_id)
        elif left or await desk.archive.has(tag.recording_id):
            await recordings.finished(tag, unfinished.until, ())
            desk.archive.leave()
            return True
        elif unfinished.begun:
            state = RecordingState.FAILED
            journal = [entry("recording_lost", lost_fields(tag.recording_id, NOT_THERE))]
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
    """Recordings that wait to be archived, but whose file neither Asterisk nor the spool has: they would wait
    for ever. Empty if either cannot be asked.
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
    tag, state, journal = missing.tag, RecordingState.DISCARDED, []
    if missing.begun and missing.may_be_kept:
        state = RecordingState.FAILED
        journal = [entry("recording_lost", lost_fields(tag.recording_id, NOT_THERE))]
    if await desk.recordings.given_up(tag, state, journal) and journal:
        _tell_lost(desk, tag)


def _tell_lost(desk: Desk, tag: RecordingTag) -> None:
    _log.warning("recording_lost", call_id=str(tag.call_id), reason=NOT_THERE)
    desk.meter.filed(Filed.LOST)


@contextlib.contextmanager
def _others_spared(recording: Unfinished) -> Iterator[None]:
    """Let a call that was tampered with hold up neither other calls' recordings nor the start of the service."""
    try:
        yield
    except RefusedError:
        call_id = recording.tag.call_id
        _log.error("recording_left", call_id=str(call_id), reason=changed(call_id))
