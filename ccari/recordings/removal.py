"""Recordings and their tags taken off the disk, for good."""

import os
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from ccari.errors import why
from ccari.recordings.tags import all_of


def remove(folder: Path, files: Iterable[str]) -> tuple[dict[str, str], list[str]]:
    """Remove recordings with their tags, for good: also when the power goes. Why it failed, by file; and what was not there
    to remove. Blocks.
    """
    faults: dict[str, str] = {}
    missing: list[str] = []
    touched: dict[Path, list[str]] = {}
    for file in files:
        path = folder / file
        try:
            if not _remove_one(folder, path):
                missing.append(file)
            touched.setdefault(path.parent, []).append(file)
        except (OSError, ValueError) as error:
            faults[file] = why(error) if isinstance(error, OSError) else str(error)
    for parent, those in touched.items():
        try:
            _flush(parent)
        except OSError as error:
            faults |= dict.fromkeys(those, why(error))
    return faults, missing


def _remove_one(folder: Path, path: Path) -> bool:
    """False if there was none."""
    if ".." in PurePosixPath(path).parts or not path.is_relative_to(folder):
        raise ValueError("it is not below the recordings folder")
    if not path.parent.is_dir():
        # a disk that is not mounted has none of the files either, and has them all again tomorrow
        raise ValueError(f"there is no folder {path.parent}: is the disk mounted?")
    there = path.exists()
    for each in all_of(path):
        each.unlink(missing_ok=True)
    return there


def _flush(folder: Path) -> None:
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
