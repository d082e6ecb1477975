"""The prompt that says where a number comes from."""

import contextlib

from ccari.errors import SoundError, StoreError
from ccari.gating.means import Means
from ccari.gating.terms import Terms
from ccari.ports.sounds import Sound


async def own_source(means: Means, terms: Terms) -> Sound | None:
    """The source recorded with the number's contact; None if there is none, the database is away, or the
    prompt was not built.
    """
    with contextlib.suppress(StoreError, SoundError):
        past = await means.store.past_of(terms.opened)
        if past.source is not None:
            return await means.prompts.source(past.source, terms.language)
    return None
