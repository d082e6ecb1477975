"""Legal bases of processing, GDPR Article 6(1)."""

from enum import StrEnum


class LegalBasis(StrEnum):
    CONSENT = "consent"
    CONTRACT = "contract"
    LEGAL_OBLIGATION = "legal_obligation"
    VITAL_INTEREST = "vital_interest"
    PUBLIC_TASK = "public_task"
    LEGITIMATE_INTEREST = "legitimate_interest"

    @property
    def letter(self) -> str:
        """The letter of Article 6(1) that names this basis."""
        return _LETTERS[self]

    @property
    def iri(self) -> str:
        """The basis as a term of the W3C Data Privacy Vocabulary."""
        return f"https://w3id.org/dpv/legal/eu/gdpr#A6-1-{self.letter}"


_LETTERS = dict(zip(LegalBasis, "abcdef", strict=True))

ANY_BASIS = frozenset(LegalBasis)
#: The bases that a person can object to on grounds of their own situation, Art 21(1).
OBJECTABLE = frozenset({LegalBasis.PUBLIC_TASK, LegalBasis.LEGITIMATE_INTEREST})
