"""A time-stamping authority (RFC 3161): what it is asked, and whether what it answers is a time stamp of its own."""

import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography import x509
from rfc3161_client import (
    HashAlgorithm,
    PKIStatus,
    TimestampRequestBuilder,
    TimeStampResponse,
    VerificationError,
    VerifierBuilder,
    decode_timestamp_response,
)

from ccari.errors import ConfigError, EvidenceError, why
from ccari.policy.seal import Statement
from ccari.recordings.evidence.der import with_sorted_certificates
from ccari.regular import open_regular

#: Authorities send some thousand bytes, most of which are certificates.
MOST_BYTES = 65536
#: Of the words of an authority that refuses.
_MOST_WORDS = 200
_CERTIFICATE_FAULT = re.compile(r'Verify error: ([^"]+)"')
_SHA256 = x509.ObjectIdentifier("2.16.840.1.101.3.4.2.1")


@dataclass(frozen=True, slots=True)
class Question:
    """What an authority is asked: it gets the hash of a seal, and nothing else. ``content``: a TimeStampReq in DER.

    ``nonce``: by which the answer is known to be a new one.
    """

    content: bytes
    nonce: int


@dataclass(frozen=True, slots=True)
class Stamped:
    """What a valid time stamp says. ``by``: the subject of the certificate that signed it (RFC 4514)."""

    at: datetime
    by: str


def question(statement: Statement) -> Question:
    """Asks when the seal was there."""
    asked = TimestampRequestBuilder().data(statement.canonical).hash_algorithm(HashAlgorithm.SHA256).build()
    if asked.nonce is None:
        raise AssertionError("a request has a nonce unless it is told to have none")
    return Question(asked.as_bytes(), asked.nonce)


class Authority:
    """Knows an authority by its certificates: its root, and those between that it does not send along."""

    def __init__(self, certificates: Sequence[x509.Certificate]) -> None:
        self._certificates = frozenset(certificates)
        builder = VerifierBuilder()
        for each in self._certificates:
            builder = builder.add_root_certificate(each)
        self._verifier = builder.build()

    def stamped(self, response: bytes, statement: Statement, nonce: int | None = None) -> Stamped:
        """What a time stamp says of the seal. ``response``: a TimeStampResp in DER. ``nonce``: of the question, if it is known.

        The certificates need to have been valid at that moment, and not today.

        Raises
        ------
        EvidenceError
            If it is none, is not of this seal, or is not signed by this authority.
        """
        if len(response) > MOST_BYTES:
            raise EvidenceError("it is longer than an answer of a time-stamping authority can be")
        try:
            answer = decode_timestamp_response(with_sorted_certificates(response))
            refusal = _refusal(answer)
        except ValueError:
            raise EvidenceError("it is no answer of a time-stamping authority (RFC 3161)") from None
        if refusal:
            raise EvidenceError(f"the authority gave no time stamp: {refusal}")
        try:
            said = answer.tst_info
            imprint = said.message_imprint
            if imprint.hash_algorithm != _SHA256 or not hmac.compare_digest(
                imprint.message, statement.digest
            ):
                raise EvidenceError("the time stamp is of something else")
            if nonce is not None and said.nonce != nonce:
                raise EvidenceError("the time stamp is the answer to another question")
            signer = self._signer(answer)
            self._verifier.verify(answer, statement.digest)
            return Stamped(said.gen_time, signer.subject.rfc4514_string())
        except (VerificationError, ValueError, KeyError, TypeError) as error:
            # the last two: the library, of a name that is no text
            raise EvidenceError(
                f"the time stamp is not signed by a trusted authority: {_reason(error)}"
            ) from None

    def _signer(self, answer: TimeStampResponse) -> x509.Certificate:
        """The one certificate of the number that the time stamp names. Those that come along are not signed: of two, the verifier
        could check the signature with the one, and somebody else have written the other.
        """
        (named,) = answer.signed_data.signer_infos
        number = _number(named.issuer, named.serial_number)
        known = self._certificates | _sent(answer)
        signers = [each for each in known if _number(each.issuer, each.serial_number) == number]
        if len(signers) > 1:
            raise EvidenceError(
                "the time stamp has more than one certificate of the number that its signer's has"
            )
        if not signers:
            raise EvidenceError("the time stamp came without the certificate of its signer")
        return signers[0]


def authority(path: Path) -> Authority:
    """The authority with the certificates in a PEM file. Raises ConfigError if the file holds none."""
    try:
        with open_regular(path) as file:
            certificates = x509.load_pem_x509_certificates(file.read())
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {why(error)}") from None
    except (ValueError, x509.InvalidVersion):
        raise ConfigError(
            f"{path} contains no certificate in PEM format: give it one (from DER: openssl x509 -inform DER -in FILE -out FILE.pem)"
        ) from None
    return Authority(certificates)


def _refusal(answer: TimeStampResponse) -> str:
    """Why the authority gave none, in its own words if it has any; empty if it gave one."""
    status = PKIStatus(answer.status)
    if status is PKIStatus.GRANTED:
        return ""
    words = "; ".join([status.name.lower(), *answer.status_string])
    return "".join(each if each.isprintable() else " " for each in words[:_MOST_WORDS])


def _reason(error: Exception) -> str:
    """OpenSSL's words about a certificate, out of all that it says; of a signature it says nothing that helps."""
    said = _CERTIFICATE_FAULT.search(str(error))
    if said is None:
        return "its signature is not valid"
    # whoever changes the authority may have put the new one's certificates in the place of those of the one before
    unknown = "unable to get" in said[1] or "self-signed" in said[1]
    return f"{said[1]}: give the certificates of all authorities there have been" if unknown else said[1]


def _sent(answer: TimeStampResponse) -> frozenset[x509.Certificate]:
    try:
        return frozenset(x509.load_der_x509_certificate(each) for each in answer.signed_data.certificates)
    except (ValueError, x509.InvalidVersion):
        raise EvidenceError("the time stamp has a certificate that cannot be read") from None


def _number(issuer: x509.Name, serial: int) -> tuple[frozenset[tuple[str, str]], int]:
    """The same for all that OpenSSL holds to be the same: to it, case and spaces make no other issuer."""
    words = ((each.oid.dotted_string, " ".join(str(each.value).casefold().split())) for each in issuer)
    return frozenset(words), serial
