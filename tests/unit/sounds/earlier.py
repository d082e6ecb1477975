"""A folder of sounds as left by an earlier version, whose files were A-law and G.722."""

import shutil
from dataclasses import replace
from pathlib import Path

from ccari.sounds import Manifest

ENDINGS = ("alaw", "g722")


def as_an_earlier_version_left_it(folder: Path) -> None:
    """Give the sounds, and what the manifest says of them, the formats of that version. Nothing here decodes them."""
    entries = {}
    for key, entry in Manifest.load(folder).entries.items():
        ((ending, file),) = entry.files.items()
        now = folder / f"{key}.{ending}"
        for earlier in ENDINGS:
            shutil.copy(now, folder / f"{key}.{earlier}")
        now.unlink()
        entries[key] = replace(entry, recipe="of other formats", files=dict.fromkeys(ENDINGS, file))
    Manifest(entries).save(folder)
