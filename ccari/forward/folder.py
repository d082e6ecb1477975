"""Forwarding by folder: a JSON file for each change of a request, for the controller to collect."""

import asyncio
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import orjson

from ccari.errors import ForwardError, why
from ccari.forward.message import change_name, message
from ccari.keyring.files import draft_of, settle
from ccari.own_threads import alone
from ccari.policy.sentences import in_utc
from ccari.ports.forwarding import Forward


class OccupiedError(ForwardError):
    """There is a file about something else in the place of this message."""

    @property
    def of_the_message(self) -> bool:
        return True


@dataclass(frozen=True, slots=True)
class _Begun:
    folder: Path
    at: datetime
    done: Future[Path]


class Folders:
    """Writes each controller's files in its own thread, one at a time. A disk that hangs then takes no thread from the service's shared
    pool, and does not keep the service from stopping.
    """

    def __init__(self) -> None:
        self._last: dict[str, _Begun] = {}

    async def drop(self, folder: Path, forward: Forward) -> None:
        """Like the function :func:`drop`. Also raises ForwardError while the controller's folder hangs with an earlier file."""
        last = self._last.get(forward.controller)
        if last is not None and not last.done.done():
            raise ForwardError(f"{last.folder} has not answered since {in_utc(last.at)}")
        begun = _Begun(folder, datetime.now(UTC), alone("ccari-folder", drop, folder, forward))
        self._last[forward.controller] = begun
        try:
            await asyncio.wrap_future(begun.done)
        except OSError as error:
            # no thread could be started
            raise ForwardError(f"cannot write in {folder}: {why(error)}") from None


def drop(folder: Path, forward: Forward) -> Path:
    """Write ``REFERENCE-SEQ.json``, readable by its owner only. It is whole and on disk before it gets that name. Blocks.

    Raises
    ------
    ForwardError
        If it cannot be written. A folder that is missing is not made: its disk may not be mounted, and once it is mounted, files
        below the mount point would be hidden. For the same reason, one that is itself a mount point is refused: without its disk it
        is an empty folder, which could not be told from the right one. A file of that name about something else is not overwritten.
    """
    path = folder / f"{change_name(forward)}.json"
    try:
        if is_mount_point(folder):
            raise ForwardError(
                f"{folder} is a mount point: while nothing is mounted there, files would be lost in it; forward to a folder in it"
            )
        if _is_another(path, forward):
            # as when a restored database gives a reference out again
            raise OccupiedError(
                f"{path} is there already, and about something else: process it, move it away, and see that no reference is given out twice"
            )
        # drafts left by a crash contain a number
        for left in folder.glob(f".{path.name}.*draft"):
            left.unlink(missing_ok=True)
        # each attempt has its own: an earlier one that hung may resume at any time
        with draft_of(path, message(forward)) as draft:
            draft.replace(path)
        settle(folder)
    except OSError as error:
        raise ForwardError(f"cannot write in {folder}: {why(error)}") from None
    return path


def is_mount_point(folder: Path) -> bool:
    """Whether another disk, or a volume of a container, is mounted there. A folder of the same disk, as systemd's ``ReadWritePaths`` binds it,
    is none.
    """
    return folder.resolve().is_mount()


def _is_another(path: Path, forward: Forward) -> bool:
    """Whether there is a file of that name which is not the message of an earlier try. Raises OSError."""
    try:
        there = orjson.loads(path.read_bytes())
    except FileNotFoundError:
        return False
    except orjson.JSONDecodeError:
        return True
    same = ("timestamp", "reference", "sequence", "received_at")
    ours = orjson.loads(message(forward))
    return not isinstance(there, dict) or any(there.get(name) != ours[name] for name in same)
