"""The dialplans that come with ccari: which version of them this ccari comes with, and which one asks it."""

import structlog

from ccari.gating.labels import label

_log = structlog.get_logger()

#: Of ``dialplan/extensions_ccari.conf`` and ``dialplan/extensions_ccari_agi.conf``, which say it themselves; both go up with a change to either.
VERSION = "1"
#: What a dialplan counts as that says no version: one from before there were any.
NONE = "none"
STASIS, FASTAGI = "extensions_ccari.conf", "extensions_ccari_agi.conf"
#: The global variable in which ``extensions_ccari.conf`` leaves its version with each call.
DIALPLAN = "CCARI_DIALPLAN"
#: So many are told of, each once: versions come from the network.
MOST_TOLD = 20


class Dialplans:
    """Tells in the log of each version of a dialplan that is not this ccari's, once."""

    def __init__(self) -> None:
        self._told: set[tuple[str, str]] = set()

    def seen(self, file: str, version: str) -> None:
        """``version``: as the dialplan said it; empty if it said none."""
        found = (file, label(version) if version else NONE)
        if version != VERSION and found not in self._told and len(self._told) < MOST_TOLD:
            self._told.add(found)
            _log.warning("dialplan_differs", dialplan=file, version=found[1], shipped=VERSION)
