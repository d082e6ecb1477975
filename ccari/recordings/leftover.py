"""Files by the name of a recording that nobody keeps any more, as a backup brings back what was erased since it was made."""

import os
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from ccari.errors import why

#: Which a disk of its own has, for its owner alone to read.
_OF_THE_DISK = "lost+found"


@dataclass(slots=True)
class Look:
    """Below the folder of recordings, which has one for each controller, and in that one for each day.

    ``fault``: the first folder that could not be read, and why; the others are looked into all the same.
    """

    fault: str | None = None

    def days(self, folder: Path) -> list[Path]:
        """Where recordings lie; none where the folder is not there."""
        return sorted(
            day
            for controller in self._within(folder)
            if controller.is_dir() and not controller.name.startswith(".")
            for day in self._within(controller)
            if day.is_dir()
        )

    def lying(self, day: Path) -> dict[UUID, list[Path]]:
        """What lies there by the name of a recording, by its id."""
        found: dict[UUID, list[Path]] = {}
        for path in sorted(self._within(day)):
            try:
                found.setdefault(UUID(path.name.partition(".")[0]), []).append(path)
            except ValueError:
                continue
        return found

    def _within(self, folder: Path) -> list[Path]:
        try:
            with os.scandir(folder) as entries:
                return [folder / each.name for each in entries if each.name != _OF_THE_DISK]
        except FileNotFoundError:
            return []
        except OSError as error:
            self.fault = self.fault or f"cannot read {folder}: {why(error)}"
            return []
