"""Bearer tokens of the HTTP API: each has one role, and may be limited to some controllers."""

import hashlib
import secrets
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

_RANDOM_BYTES = 32


class Role(StrEnum):
    """What a token's bearer does: places calls, takes calls, runs the PBX, works requests, or only looks."""

    DIALER = "dialer"
    AGENT = "agent"
    OPS = "ops"
    DPO = "dpo"
    AUDITOR = "auditor"


#: Roles that may see calls, recordings, bars, contacts, consents and campaigns; and those that may see
#: requests, evidence and encrypted files.
READING = frozenset({Role.OPS, Role.DPO, Role.AUDITOR})
SUPERVISING = frozenset({Role.DPO, Role.AUDITOR})


@dataclass(frozen=True, slots=True)
class Bearer:
    """The bearer of a token. ``name``: as in logs and histories. ``agent``: in the role agent, whose events it may open.

    ``controllers``: whose data it may see; None: all controllers'.
    """

    name: str
    role: Role
    agent: str | None = None
    controllers: frozenset[str] | None = None

    def sees(self, controller: str | None) -> bool:
        """Whether the controller's data may be shown. ``None`` stands for data of no controller: only a
        bearer who sees everything sees them.
        """
        return self.controllers is None or controller in self.controllers


def new_token() -> str:
    """A new token, which nobody can guess. Scanners for leaked secrets recognise its prefix."""
    return f"ccari_{secrets.token_urlsafe(_RANDOM_BYTES)}"


def fingerprint(token: str) -> bytes:
    """SHA-256 of a token, the only part of it that is stored.

    A plain hash is enough: a token has 256 random bits, so trying them all is impossible. Nor need the look-up by an index
    take constant time: its time might betray the first bytes of a hash, but nobody can choose a token by its hash.
    """
    # a header may hold bytes that are not UTF-8; aiohttp gives those as surrogates
    return hashlib.sha256(token.encode(errors="surrogatepass")).digest()


class Bearers(Protocol):
    async def bearer(self, sha256: bytes) -> Bearer | None:
        """The bearer of the token with that fingerprint; None if there is none, or it was revoked. Raises StoreError."""
        ...

    async def valid_fingerprints(self) -> frozenset[bytes]:
        """The fingerprints of all valid tokens; if there are very many, of the newest. Raises StoreError."""
        ...
