"""The agent's card."""

from pydantic import RootModel

from ccari.ports.cards import AgentCard
from ccari.web.models.base import Given
from ccari.web.models.fields import AgentId


class AgentPath(Given):
    id: AgentId


class AgentCardEvent(RootModel[AgentCard]):
    """``data`` of an event ``agent_card``."""
