"""A laboratory and a service of the suite's own, with campaigns for every scenario."""

from pathlib import Path

import pytest

from tests.integration.conftest import dsn, folder, lab, service, sounds

__all__ = ["dsn", "folder", "lab", "service", "sounds"]


@pytest.fixture(scope="session")
def policy_file() -> Path:
    return Path(__file__).parent / "policy.toml"
