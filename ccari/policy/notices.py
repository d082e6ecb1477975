"""What is said to the callee: prompts and their words."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Prompt:
    """One sound that is played whole.

    ``campaign`` is None for what is said alike in every campaign (a confirmation, say); else the words hold what is
    the campaign's own: who calls, why, where the number comes from, which key does what.
    """

    id: str
    language: str
    text: str
    campaign: str | None = None

    @property
    def key(self) -> str:
        """Where the sound lies below the sounds folder, without its ending: ``pl/renewals/identity``."""
        return "/".join(part for part in (self.language, self.campaign, self.id) if part)
