"""Checks that the database is not an older copy than this node has seen."""

from ccari.cli.doctor.findings import Finding, fault
from ccari.config import Settings
from ccari.recordings.evidence.newest import NewestSeal
from ccari.store.opened import Store

CHECK = "seals"


async def missing(settings: Settings, store: Store) -> list[Finding]:
    """Whether the newest seal that the node remembers is gone. Raises StoreError, and ConfigError if the memory cannot be read."""
    newest = NewestSeal(settings.data_dir, store.seals)
    seen = await newest.missing()
    if seen is None:
        return []
    return [fault(CHECK, f"the database lacks {seen}, which this node has seen: it is an older one, and the objections and erasures since then are not in it: nobody is called",
                  f"enter what is missing (docs/operations.md, Enter what is missing), then remove {newest.path}")]  # fmt: skip
