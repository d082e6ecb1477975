"""Each file of these tests has a laboratory of its own, which it may break."""

from tests.integration.conftest import dsn, folder, ground, policy_file, sounds

__all__ = ["dsn", "folder", "ground", "policy_file", "sounds"]
