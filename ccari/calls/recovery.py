"""Taking stock after a connection: what an earlier run, or a lost connection, left in Asterisk and in the database."""

import asyncio
import contextlib
from datetime import UTC, datetime

import structlog

from ccari.calls.actions import Desk
from ccari.errors import AsteriskError, RecordingError
from ccari.ports import RecordingTag

_log = structlog.get_logger()

#: For a recording that is told to stop to be written to its end.
STOP_SECONDS = 5.0
_ASK_AGAIN_SECONDS = 0.05


async def recover(desk: Desk, ours: set[str]) -> dict[str, int]:
    """End what nobody drives any more, except the channels ``ours``; gives how much there was of each kind."""
    unfinished = await desk.store.unfinished_recordings(desk.asterisk)
    for tag in unfinished:
        with contextlib.suppress(AsteriskError):
            await desk.ari.stop_recording(str(tag.recording_id), keep=True)
    swept = await _sweep(desk, ours)
    kept = 0
    for tag in unfinished:
        kept += await _keep(desk, tag)
    abandoned = await desk.store.close_abandoned(desk.asterisk, datetime.now(UTC))
    return {"swept_channels": swept, "kept_recordings": kept, "abandoned_calls": abandoned}


async def _sweep(desk: Desk, ours: set[str]) -> int:
    """Legs are hung up, bridges destroyed, agents given back to the dialplan."""
    strangers = [channel for channel in await desk.ari.own_channels() if channel not in ours]
    for channel in strangers:
        with contextlib.suppress(AsteriskError):
            if channel.startswith("ccari-"):
                await desk.ari.hang_up(channel)
            else:
                await desk.ari.set_variable(channel, "CCARI_OUTCOME", "unavailable")
                await desk.ari.continue_in_dialplan(channel)
    for bridge in await desk.ari.bridges():
        if bridge.startswith("ccari-"):
            await desk.ari.destroy_bridge(bridge)
    return len(strangers)


async def _keep(desk: Desk, tag: RecordingTag) -> bool:
    """Bring a recording that was cut short to its place, with the tag it was begun under."""
    try:
        async with asyncio.timeout(STOP_SECONDS):
            while await desk.ari.is_recording(str(tag.recording_id)):  # noqa: ASYNC110
                # nothing reports the end of a recording that was begun over another connection
                await asyncio.sleep(_ASK_AGAIN_SECONDS)
        kept = await desk.archive.keep(tag)
    except (RecordingError, TimeoutError) as error:
        _log.warning("recording_lost", call_id=str(tag.call_id), reason=str(error) or "it does not stop")
        await desk.store.recording_ended(tag, "failed", ())
        return False
    await desk.store.recording_stored(tag, kept, ())
    _log.info("recording_stored", call_id=str(tag.call_id), file=kept.file, duration_ms=kept.duration_ms)
    return True
