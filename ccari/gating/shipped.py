"""The dialplans shipped with ccari: their version, and the version of each dialplan that asks."""

import structlog

from ccari.gating.labels import label

_log = structlog.get_logger()

#: The version of ``dialplan/extensions_ccari.conf`` and ``dialplan/extensions_ccari_agi.conf``, which state
#: it themselves. A change to either raises it in both.
VERSION = "1"
#: The version of a dialplan that states none, as those from before there were versions.
NONE = "none"
STASIS, FASTAGI = "extensions_ccari.conf", "extensions_ccari_agi.conf"
#: The global variable in which ``extensions_ccari.conf`` leaves its version with each call.
DIALPLAN = "CCARI_DIALPLAN"
#: The most versions logged, each once: they come from the network.
MOST_TOLD = 20


class Dialplans:
    """Logs, once each, the versions of dialplans that differ from the shipped one."""

    def __init__(self) -> None:
        self._told: set[tuple[str, str]] = set()

    def seen(self, file: str, version: str) -> None:
        """``version``: as the dialplan stated it; empty if it stated none."""
        found = (file, label(version) if version else NONE)
        if version != VERSION and found not in self._told and len(self._told) < MOST_TOLD:
            self._told.add(found)
            _log.warning("dialplan_differs", dialplan=file, version=found[1], shipped=VERSION)
