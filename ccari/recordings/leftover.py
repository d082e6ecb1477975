"""Files by the name of a recording that nobody keeps any more, as a backup brings back what was erased since it was made."""

import os
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

from ccari.errors import RecordingError, why

#: Which a disk of its own has, for its owner alone to read.
_OF_THE_DISK = "lost+found"


def days(folder: Path) -> list[Path]:
    """The folders below that of recordings in which they lie, one for each controller and day; none where it is not there.

    Raises
    ------
    RecordingError
        If one cannot be read.
    """
    return sorted(
        day
        for controller in _within(folder)
        if controller.is_dir() and not controller.name.startswith(".")
        for day in _within(controller)
        if day.is_dir()
    )


def lying(day: Path) -> dict[UUID, list[Path]]:
    """What lies there by the name of a recording, by its id. Raises RecordingError as :func:`days` does."""
    found: dict[UUID, list[Path]] = {}
    for path in sorted(_within(day)):
        try:
            found.setdefault(UUID(path.name.partition(".")[0]), []).append(path)
        except ValueError:
            continue
    return found


def _within(folder: Path) -> Iterator[Path]:
    try:
        with os.scandir(folder) as entries:
            names = [each.name for each in entries if each.name != _OF_THE_DISK]
    except FileNotFoundError:
        return
    except OSError as error:
        raise RecordingError(f"cannot read {folder}: {why(error)}") from None
    yield from (folder / name for name in names)
