"""Signs and checks a pack's vCon: a JWS in the general JSON form (RFC 7515, section 7.2.1), as draft-ietf-vcon-vcon-core requires.

The Ed25519 key that signs the seals signs it too. The draft prefers RS256, but that would be a second kind of key to guard. The algorithm
is named ``EdDSA`` (RFC 8037): few programs that read JWS know the newer name of RFC 9864 yet.
"""

import base64
import json
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from joserfc import jws
from joserfc.errors import JoseError, SecurityWarning
from joserfc.jwk import OKPKey

from ccari.recordings.evidence.keys import SigningKey, VerifyingKey

_ALGORITHM = "EdDSA"
#: The draft wants x5c and uuid in the unprotected header. Nothing relies on them before the signature is verified.
_REGISTRY = jws.JWSRegistry(algorithms=[_ALGORITHM], strict_check_header=False)
#: The validity of a key's certificate. The key does not expire; RFC 5280, section 4.1.2.5, gives this date for that.
_BEGINS, _NEVER_ENDS = datetime(2020, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)


def signed(payload: bytes, uuid: str, key: SigningKey) -> dict[str, Any]:
    """Sign ``payload``, the unsigned vCon with that ``uuid``. The included certificate only carries the public key."""
    pem = key.private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    member: Any = {
        "protected": {"alg": _ALGORITHM, "kid": key.fingerprint},
        "header": {"x5c": [base64.b64encode(certificate(key)).decode()], "uuid": uuid},
    }
    with _without_warning_of_eddsa():
        return dict(jws.serialize_json([member], payload, OKPKey.import_key(pem), registry=_REGISTRY))


def signer(document: Mapping[str, Any]) -> str | None:
    """The fingerprint of the key that a signed vCon claims to be signed with; None if it claims none."""
    try:
        (signature,) = document["signatures"]
        text = signature["protected"]
        protected = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        kid = protected["kid"]
    except (KeyError, TypeError, ValueError):
        return None
    return kid if isinstance(kid, str) else None


def opened(document: Mapping[str, Any], key: VerifyingKey) -> bytes | None:
    """The payload, if it has exactly one signature and ``key`` made it; else None."""
    if len(document.get("signatures", ())) != 1:
        return None
    value: Any = {"payload": document.get("payload"), "signatures": document["signatures"]}
    try:
        with _without_warning_of_eddsa():
            verified = jws.deserialize_json(value, OKPKey.import_key(key.public_pem), registry=_REGISTRY)
    except (JoseError, ValueError, TypeError, AttributeError, KeyError):
        return None
    # the decoder ignores characters that are not base64, so compare the text with the re-encoded signature
    text = document["signatures"][0]["signature"]
    signature = base64.urlsafe_b64decode(text + "==")
    canonical = base64.urlsafe_b64encode(signature).decode().rstrip("=")
    return bytes(verified.payload) if canonical == text else None


def added(document: Mapping[str, Any]) -> str | None:
    """The first member of a signed vCon that :func:`signed` does not write; None if there is none.

    Such a member is not signed, but other programs would read it. Raises KeyError, TypeError or ValueError if the document is not a
    signed vCon.
    """
    (signature,) = document["signatures"]
    for members, own in (
        (document, {"payload", "signatures"}),
        (signature, {"protected", "header", "signature"}),
        (signature["header"], {"x5c", "uuid"}),
    ):
        for name in members:
            if name not in own:
                return str(name)
    return None


def is_certified(document: Mapping[str, Any], key: VerifyingKey) -> bool:
    """Whether a signed vCon has exactly one certificate, of ``key``, and it is self-signed."""
    try:
        (text,) = document["signatures"][0]["header"]["x5c"]
        content = base64.b64decode(text, validate=True)
        given = x509.load_der_x509_certificate(content)
        given.verify_directly_issued_by(given)
    except (KeyError, TypeError, ValueError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return given.public_key() == key.public and base64.b64encode(content).decode() == text


def certificate(key: SigningKey) -> bytes:
    """A self-signed certificate of the key, in DER. It says no more than the key itself, and is identical each time it is made."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, issuer(key.fingerprint))])
    self_signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.private.public_key())
        .serial_number(int(key.fingerprint, 16) + 1)
        .not_valid_before(_BEGINS)
        .not_valid_after(_NEVER_ENDS)
        .sign(key.private, None)
    )
    return self_signed.public_bytes(serialization.Encoding.DER)


def issuer(fingerprint: str) -> str:
    """The name in an evidence key's certificate. The uuids of an installation's vCons are derived from it."""
    return f"{fingerprint}.evidence.ccari.invalid"


@contextmanager
def _without_warning_of_eddsa() -> Iterator[None]:
    """Silence joserfc's warning about ``EdDSA``, a name that RFC 9864 deprecates."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SecurityWarning)
        yield
