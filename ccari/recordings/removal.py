"""Removes recordings and their tags from the disk."""

from collections.abc import Iterable
from pathlib import Path

from ccari.errors import RecordingError, why
from ccari.keyring.files import settle
from ccari.recordings.known_folder import KnownFolder
from ccari.recordings.reading import below
from ccari.recordings.tags import all_of


def remove(
    folder: Path, files: Iterable[str], known: KnownFolder | None = None
) -> tuple[dict[str, str], list[str]]:
    """Remove recordings with their tags, and flush the folders, so that they stay removed after a power failure. Blocks.

    ``known``: tells whether ``folder`` is the right one; if its disk is not mounted, files only seem to be gone. Returns why files could
    not be removed, by file; and the files that were not there.
    """
    try:
        if known is not None and (fault := known.fault()) is not None:
            return dict.fromkeys(files, str(fault)), []
    except OSError as error:
        unknown = f"cannot tell whether {folder} is the recordings folder: {why(error)}"
        return dict.fromkeys(files, unknown), []
    faults: dict[str, str] = {}
    missing: list[str] = []
    removed: dict[Path, list[str]] = {}
    for file in files:
        try:
            path = below(folder, file)
            if not _remove_one(path):
                missing.append(file)
            removed.setdefault(path.parent, []).append(file)
        except (OSError, RecordingError) as error:
            faults[file] = why(error) if isinstance(error, OSError) else str(error)
    for parent, names in removed.items():
        try:
            settle(parent)
        except OSError as error:
            faults |= dict.fromkeys(names, why(error))
    return faults, missing


def _remove_one(path: Path) -> bool:
    """False if there was no such recording."""
    if not path.parent.is_dir():
        # if the disk is not mounted, the files only seem to be gone, and reappear later
        raise RecordingError(f"there is no folder {path.parent}: is the disk mounted?")
    existed = path.exists()
    for file in all_of(path):
        file.unlink(missing_ok=True)
    return existed
