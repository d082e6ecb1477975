"""Whether calls could play the sounds of a folder, found out as calls find it out."""

import shutil
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory

from ccari.errors import SoundError
from ccari.policy.wording import Prompt
from ccari.sounds.soundboard import Soundboard, shipped_sounds


def check(folder: Path, prompts: Iterable[Prompt]) -> list[str]:
    """Why calls would be refused: a line for each prompt that is not fit to be played, none if callees would hear all of them.

    No shipped sounds stand in for those of the folder.
    """
    with TemporaryDirectory() as none_shipped:
        shutil.copy(shipped_sounds() / "catalogue.toml", none_shipped)
        board = Soundboard(folder, Path(none_shipped))
        return [fault for prompt in prompts if (fault := _fault(board, prompt))]


def _fault(board: Soundboard, prompt: Prompt) -> str | None:
    try:
        board.find(prompt)
    except SoundError as error:
        return str(error)
    return None
