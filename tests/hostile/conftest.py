"""What these tests attack without an Asterisk: the servers on loopback, with a database of the test's own."""

from tests.unit.agi.conftest import desk
from tests.unit.store.server import patience
from tests.unit.web.conftest import api, front

__all__ = ["api", "desk", "front", "patience"]
