"""Where a number is from, as whoever is on the line is told."""

import contextlib

from ccari.errors import SoundError, StoreError
from ccari.gating.gatekeeper import Means
from ccari.gating.terms import Terms
from ccari.ports.sounds import Sound


async def own_source(means: Means, terms: Terms) -> Sound | None:
    """As the contacts have it of this number; None where they do not, or nobody can tell, or it was not built."""
    with contextlib.suppress(StoreError, SoundError):
        past = await means.store.past_of(terms.opened)
        if past.source is not None:
            return means.prompts.source(past.source, terms.language)
    return None
