"""Lists files in the recordings folder and in the spool, to find those that ought to be gone: restoring a backup brings back files that
were erased after it was made, and leaves raw ones of which the restored database knows nothing.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from ccari.errors import why
from ccari.keyring.files import LOST_AND_FOUND
from ccari.ports.recordings import AGENTS_SIDE
from ccari.recordings.spool import uuid_of


@dataclass(slots=True)
class Look:
    """One look through the recordings folder, which has a folder per controller, each with a folder per day.

    ``fault``: the first folder that could not be read, and why. The others are still looked through.
    """

    fault: str | None = None

    def days(self, folder: Path) -> list[Path]:
        """The folders that hold recordings; none if ``folder`` is not there."""
        return sorted(
            day
            for controller in self._within(folder)
            if controller.is_dir() and not controller.name.startswith(".")
            for day in self._within(controller)
            if day.is_dir()
        )

    def lying(self, day: Path) -> dict[UUID, list[Path]]:
        """The files that are named after a recording, by its id."""
        files: dict[UUID, list[Path]] = {}
        for path in sorted(self._within(day)):
            try:
                files.setdefault(UUID(path.name.partition(".")[0]), []).append(path)
            except ValueError:
                continue
        return files

    def raw(self, folder: Path, ending: str = "") -> dict[UUID, list[Path]]:
        """What is named after a recording, or its agent's side, before it is stored, and has that ending; by the recording's id."""
        files: dict[UUID, list[Path]] = {}
        for path in sorted(self._within(folder)):
            recording = uuid_of(path.name.partition(".")[0].removesuffix(AGENTS_SIDE))
            if recording is not None and path.name.endswith(ending):
                files.setdefault(recording, []).append(path)
        return files

    def _within(self, folder: Path) -> list[Path]:
        try:
            with os.scandir(folder) as entries:
                return [folder / each.name for each in entries if each.name != LOST_AND_FOUND]
        except FileNotFoundError:
            return []
        except OSError as error:
            self.fault = self.fault or f"cannot read {folder}: {why(error)}"
            return []
