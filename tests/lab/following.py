"""A log that another process writes to."""

from pathlib import Path


class Followed:
    """A log whose lines are each read once, by polling."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._to = 0

    def new(self) -> list[bytes]:
        """The whole lines written since the last call; none if there is no file."""
        if not self.path.exists():
            return []
        with self.path.open("rb") as file:
            file.seek(self._to)
            whole, ended, _ = file.read().rpartition(b"\n")
        self._to += len(whole) + len(ended)
        return whole.splitlines()
