"""Folders as Asterisk and ccari have them, and a pair of keys."""

from pathlib import Path

import pyrage
import pytest


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    made = tmp_path / "spool"
    made.mkdir()
    return made


@pytest.fixture
def kept_in(tmp_path: Path) -> Path:
    return tmp_path / "recordings"


@pytest.fixture
def identity() -> pyrage.x25519.Identity:
    return pyrage.x25519.Identity.generate()
