"""The folder drop: a JSON file for each change of a request, for whatever carries files to the controller."""

import asyncio
import contextlib
import os
import secrets
import threading
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from ccari.errors import ForwardError, why
from ccari.forward.message import message, message_id
from ccari.ports.forwarding import Forward


@dataclass(frozen=True, slots=True)
class _Begun:
    folder: Path
    at: datetime
    done: Future[None]


class Folders:
    """Files are dropped in threads of their own, of which each controller has one: a disk that hangs keeps no thread from what
    all the service shares, and no service from ending.
    """

    def __init__(self) -> None:
        self._last: dict[str, _Begun] = {}

    async def drop(self, folder: Path, forward: Forward) -> None:
        """As :func:`drop`; and ForwardError, too, while the controller's folder has not answered an earlier one."""
        last = self._last.get(forward.controller)
        if last is not None and not last.done.done():
            raise ForwardError(f"{last.folder} has not answered since {last.at:%Y-%m-%d %H:%M:%S} UTC")
        begun = _Begun(folder, datetime.now(UTC), _apart(folder, forward))
        self._last[forward.controller] = begun
        await asyncio.wrap_future(begun.done)


def _apart(folder: Path, forward: Forward) -> Future[None]:
    done: Future[None] = Future()
    # or it would be over for who no longer waits for it, though its thread is not
    done.set_running_or_notify_cancel()

    def work() -> None:
        try:
            drop(folder, forward)
        except Exception as error:  # noqa: BLE001 - raised again where it is awaited
            done.set_exception(error)
        else:
            done.set_result(None)

    threading.Thread(target=work, name="ccari-folder", daemon=True).start()
    return done


def drop(folder: Path, forward: Forward) -> Path:
    """Write ``REFERENCE-SEQ.json``, its owner's only: whole and on the disk before it has that name. Blocks.

    Raises
    ------
    ForwardError
        If it cannot be written. The folder is not made if it is missing: while its disk is not mounted, the files would go to
        the disk below, and be hidden once it is.
    """
    path = folder / f"{message_id(forward)}.json"
    # its own: an earlier try that hung may go on at any time
    draft = folder / f".{path.name}.{secrets.token_hex(4)}.draft"
    try:
        # there is a number in what a crash left
        for each in folder.glob(f".{path.name}.*draft"):
            each.unlink(missing_ok=True)
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:  # noqa: PTH123 - a mode
            file.write(message(forward))
            file.flush()
            os.fsync(file.fileno())
        draft.rename(path)
        _sync(folder)
    except OSError as error:
        raise ForwardError(f"cannot write in {folder}: {why(error)}") from None
    finally:
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)
    return path


def _sync(folder: Path) -> None:
    """A new name is on the disk only when its folder is."""
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
