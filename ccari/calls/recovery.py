"""Taking stock after a connection: what an earlier run, or a lost connection, left in Asterisk and in the database."""

import contextlib
from collections.abc import Callable
from datetime import UTC, datetime

import structlog

from ccari.calls.desk import Desk
from ccari.errors import AsteriskError, RecordingError
from ccari.gating.journal import entry
from ccari.ports.recordings import NOT_THERE, Unfinished, lost

_log = structlog.get_logger()


async def recover(desk: Desk, ours: Callable[[], set[str]]) -> dict[str, int]:
    """End what nobody drives any more; gives how much there was of each kind.

    ``ours`` gives the channels that have entered over this connection. It is asked last: callers keep coming.
    """
    unfinished = await desk.recordings.unfinished(desk.asterisk)
    for each in unfinished:
        for name in each.tag.raw_names:
            with contextlib.suppress(AsteriskError):
                await desk.ari.stop_recording(name, keep=each.may_be_kept)
    swept = await _sweep(desk, ours)
    kept = 0
    for each in unfinished:
        kept += await _settle(desk, each)
    abandoned = await desk.store.close_abandoned(desk.asterisk, datetime.now(UTC))
    return {"swept_channels": swept, "kept_recordings": kept, "abandoned_calls": abandoned}


async def _sweep(desk: Desk, ours: Callable[[], set[str]]) -> int:
    """Legs are hung up, bridges destroyed, agents given back to the dialplan."""
    # a channel is listed only after its StasisStart was sent, and that comes before the list
    listed = await desk.ari.own_channels()
    known = ours()
    strangers = [channel for channel in listed if channel not in known]
    for channel in strangers:
        with contextlib.suppress(AsteriskError):
            if channel.startswith("ccari-"):
                await desk.ari.hang_up(channel)
            else:
                await desk.ari.turn_away(channel, "service_away")
    for bridge in await desk.ari.bridges():
        if bridge.startswith("ccari-"):
            await desk.ari.destroy_bridge(bridge)
    return len(strangers)


async def _settle(desk: Desk, unfinished: Unfinished) -> bool:
    """Leave a recording that was cut short for its place, with the tag it was begun under: calls come first.

    Nothing of what was said after a refusal is kept, though nobody was there to stop it.
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
            state, journal = "failed", [entry("recording_lost", lost(tag.recording_id, NOT_THERE))]
    except (AsteriskError, RecordingError) as error:
        _log.warning("recording_left", call_id=str(tag.call_id), reason=str(error))
    else:
        await recordings.ended(tag, state, journal)
    return False
