"""Prompts: their words, their synthesis or recording, and the sound files that Asterisk plays."""

from ccari.sounds.build import build
from ccari.sounds.catalogue import Catalogue
from ccari.sounds.engine import EspeakNg
from ccari.sounds.manifest import Entry, Manifest

__all__ = ["Catalogue", "Entry", "EspeakNg", "Manifest", "build"]
