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


#: Who may look at calls, recordings, bars, contacts, consents and campaigns; and who at requests, evidence and encrypted files.
READING = frozenset({Role.OPS, Role.DPO, Role.AUDITOR})
SUPERVISING = frozenset({Role.DPO, Role.AUDITOR})


@dataclass(frozen=True, slots=True)
class Bearer:
    """The bearer of a token. ``name``: as logs and histories have it. ``agent``: in the role agent, whose events it may open.

    ``controllers``: whose data it may see; None: all controllers'.
    """

    name: str
    role: Role
    agent: str | None = None
    controllers: frozenset[str] | None = None

    def sees(self, controller: str | None) -> bool:
        """Whether the controller's data may be shown. None, for data of no controller: only to a bearer who sees all."""
        return self.controllers is None or controller in self.controllers


def new_token() -> str:
    """A token that nobody can guess. By its prefix, scanners for leaked secrets find it."""
    return f"ccari_{secrets.token_urlsafe(_RANDOM_BYTES)}"


def fingerprint(token: str) -> bytes:
    """SHA-256 of a token, which is all that is stored of it.

    A plain hash is enough: a token has 256 random bits, so nobody can try them all. The look-up by an index need not take
    constant time either: its time might betray the first bytes of a hash, but nobody can choose a token by its hash.
    """
    # a header may hold bytes that are not UTF-8; aiohttp gives those as surrogates
    return hashlib.sha256(token.encode(errors="surrogatepass")).digest()


class Bearers(Protocol):
    async def bearer(self, sha256: bytes) -> Bearer | None:
        """The bearer of the token with that fingerprint; None if there is none, or it was revoked. Raises StoreError."""
        ...

    async def valid_fingerprints(self) -> frozenset[bytes]:
        """The fingerprints of all good tokens; if there are very many, of the newest. Raises StoreError."""
        ...
