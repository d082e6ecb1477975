"""The laboratory: ``pbx``, a real Asterisk under test, and ``world``, a second one that plays everyone around it."""

from tests.lab.callees import Callee
from tests.lab.calls import AgentCall
from tests.lab.errors import LabError
from tests.lab.laboratory import Lab, laboratory
from tests.lab.pbx import Outcome

__all__ = ["AgentCall", "Callee", "Lab", "LabError", "Outcome", "laboratory"]
