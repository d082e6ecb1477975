"""Who may ask over HTTP for what: bearer tokens, each with one role, and perhaps only for some controllers."""

import hashlib
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class Role(StrEnum):
    """What a token's bearer does: places calls, takes them, minds the PBX, works requests, or looks on."""

    DIALER = "dialer"
    AGENT = "agent"
    OPS = "ops"
    DPO = "dpo"
    AUDITOR = "auditor"


@dataclass(frozen=True, slots=True)
class Bearer:
    """Whose token it is: what logs and histories call it. ``agent``: of the role agent, whose events it opens.

    ``controllers``: whose data it reaches; None: everybody's.
    """

    name: str
    role: Role
    agent: str | None = None
    controllers: frozenset[str] | None = None

    def sees(self, controller: str | None) -> bool:
        """Whether what is the controller's may be shown; what is nobody's, only where all is."""
        return self.controllers is None or controller in self.controllers


def fingerprint(token: str) -> bytes:
    """SHA-256 of a token: all that is kept of it.

    A plain hash is enough, and its look-up by an index need not take constant time: a token has 256 random bits, so that
    nobody tries them through, and who does not know it cannot choose the hash whose first bytes a look-up might betray.
    """
    # what somebody shows for one may be no text: bytes of a header that are no UTF-8 come as surrogates
    return hashlib.sha256(token.encode(errors="surrogatepass")).digest()


class Bearers(Protocol):
    async def bearer(self, sha256: bytes) -> Bearer | None:
        """Who bears the token of that fingerprint; None: nobody, or no longer. Raises StoreError."""
        ...

    async def good(self) -> frozenset[bytes]:
        """The fingerprints of the tokens that are good; of very many, those that were made last. Raises StoreError."""
        ...
