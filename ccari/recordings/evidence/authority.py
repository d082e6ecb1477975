"""A time-stamping authority (RFC 3161): the question sent to it, and whether its answer is a valid time stamp of its own."""

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

#: The most bytes of an answer: authorities send a few thousand, mostly certificates.
MOST_BYTES = 65536
#: The most characters quoted from an authority's refusal.
_MOST_WORDS = 200
_CERTIFICATE_FAULT = re.compile(r'Verify error: ([^"]+)"')
_SHA256 = x509.ObjectIdentifier("2.16.840.1.101.3.4.2.1")


@dataclass(frozen=True, slots=True)
class TimeStampRequest:
    """A question to an authority, which is sent the hash of a seal and nothing else. ``content``: a TimeStampReq in DER.

    ``nonce``: shows that the answer is a fresh one.
    """

    content: bytes
    nonce: int


@dataclass(frozen=True, slots=True)
class Stamped:
    """The content of a valid time stamp. ``by``: the subject of the certificate that signed it (RFC 4514)."""

    at: datetime
    by: str


def time_stamp_request(statement: Statement) -> TimeStampRequest:
    """Asks for a time stamp of the seal."""
    asked = TimestampRequestBuilder().data(statement.canonical).hash_algorithm(HashAlgorithm.SHA256).build()
    if asked.nonce is None:
        raise AssertionError("a request has a nonce unless it is told to have none")
    return TimeStampRequest(asked.as_bytes(), asked.nonce)


class Authority:
    """An authority, known by its certificates: its root, and any intermediate ones that it does not send."""

    def __init__(self, certificates: Sequence[x509.Certificate]) -> None:
        self._certificates = frozenset(certificates)
        builder = VerifierBuilder()
        for each in self._certificates:
            builder = builder.add_root_certificate(each)
        self._verifier = builder.build()

    def stamped(self, response: bytes, statement: Statement, nonce: int | None = None) -> Stamped:
        """What a time stamp says of the seal. ``response``: a TimeStampResp in DER. ``nonce``: the question's, if known.

        The certificates must have been valid at the moment of the stamp; they may have expired since.

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
            # the library raises the last two for a name that is not text
            raise EvidenceError(
                f"the time stamp is not signed by a trusted authority: {_reason(error)}"
            ) from None

    def _signer(self, answer: TimeStampResponse) -> x509.Certificate:
        """The certificate with the serial number that the time stamp names; there must be just one. The certificates sent along are not
        signed: with two of that number, the verifier could check the signature with one and the signer's name come from the other, which
        somebody else may have written.
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
    """Why the authority refused a time stamp, in its own words if it gave any; empty if it gave one."""
    status = PKIStatus(answer.status)
    if status is PKIStatus.GRANTED:
        return ""
    words = "; ".join([status.name.lower(), *answer.status_string])
    return "".join(each if each.isprintable() else " " for each in words[:_MOST_WORDS])


def _reason(error: Exception) -> str:
    """OpenSSL's words about a certificate, picked from its message; its words about a signature are of no help."""
    said = _CERTIFICATE_FAULT.search(str(error))
    if said is None:
        return "its signature is not valid"
    # on a change of authority, someone may have overwritten the old authority's certificates with the new one's
    unknown = "unable to get" in said[1] or "self-signed" in said[1]
    return f"{said[1]}: give the certificates of all authorities there have been" if unknown else said[1]


def _sent(answer: TimeStampResponse) -> frozenset[x509.Certificate]:
    try:
        return frozenset(x509.load_der_x509_certificate(each) for each in answer.signed_data.certificates)
    except (ValueError, x509.InvalidVersion):
        raise EvidenceError("the time stamp has a certificate that cannot be read") from None


def _number(issuer: x509.Name, serial: int) -> tuple[frozenset[tuple[str, str]], int]:
    """Equal for all names that OpenSSL considers equal: it ignores case and spaces in an issuer."""
    words = ((each.oid.dotted_string, " ".join(str(each.value).casefold().split())) for each in issuer)
    return frozenset(words), serial
