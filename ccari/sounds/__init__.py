"""Prompts: their words, their synthesis or recording, and the sound files that Asterisk plays."""

from ccari.sounds.build import Progress, build
from ccari.sounds.catalogue import Catalogue, Kind, Wording
from ccari.sounds.engine import Engine, EspeakNg
from ccari.sounds.manifest import Entry, Manifest, SoundFile, check

__all__ = [
    "Catalogue",
    "Engine",
    "Entry",
    "EspeakNg",
    "Kind",
    "Manifest",
    "Progress",
    "SoundFile",
    "Wording",
    "build",
    "check",
]
