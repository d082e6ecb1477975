"""The signature of a pack: a JWS in the general JSON form (RFC 7515, section 7.2.1), as draft-ietf-vcon-vcon-core asks.

It is made with the Ed25519 key that also signs the seals. The draft would rather have RS256, which would be a second kind
of key to guard; ``EdDSA`` (RFC 8037) is what readers of JWS know Ed25519 by, RFC 9864's newer name few of them yet.
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
#: x5c and uuid stand in the unprotected header, where the draft wants them; nobody relies on them before the signature fits.
_REGISTRY = jws.JWSRegistry(algorithms=[_ALGORITHM], strict_check_header=False)
#: A key has no end of its own: RFC 5280, section 4.1.2.5.
_BEGINS, _NEVER_ENDS = datetime(2020, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)


def signed(payload: bytes, uuid: str, key: SigningKey) -> dict[str, Any]:
    """``payload``, the unsigned vCon of that ``uuid``, as a signed one; the certificate in it only carries the key."""
    pem = key.private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    member: Any = {
        "protected": {"alg": _ALGORITHM, "kid": key.fingerprint},
        "header": {"x5c": [base64.b64encode(certificate(key)).decode()], "uuid": uuid},
    }
    with _known_by_its_older_name():
        return dict(jws.serialize_json([member], payload, OKPKey.import_key(pem), registry=_REGISTRY))


def signer(document: Mapping[str, Any]) -> str | None:
    """The fingerprint of the key that a signed vCon says it was signed by; None if it says none."""
    try:
        (signature,) = document["signatures"]
        text = signature["protected"]
        said = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        kid = said["kid"]
    except (KeyError, TypeError, ValueError):
        return None
    return kid if isinstance(kid, str) else None


def opened(document: Mapping[str, Any], key: VerifyingKey) -> bytes | None:
    """The payload, if ``key`` has signed it, and nobody else beside it; else None."""
    if len(document.get("signatures", ())) != 1:
        return None
    value: Any = {"payload": document.get("payload"), "signatures": document["signatures"]}
    try:
        with _known_by_its_older_name():
            found = jws.deserialize_json(value, OKPKey.import_key(key.public_pem), registry=_REGISTRY)
    except (JoseError, ValueError, TypeError, AttributeError, KeyError):
        return None
    # bytes that a reader of base64 passes over are not signed
    given = document["signatures"][0]["signature"]
    plain = base64.urlsafe_b64decode(given + "==")
    return bytes(found.payload) if base64.urlsafe_b64encode(plain).decode().rstrip("=") == given else None


def added(document: Mapping[str, Any]) -> str | None:
    """What stands in a signed vCon beside what :func:`signed` puts there, and is read by others though nobody has signed
    it, by its name; None if nothing does. Raises KeyError, TypeError or ValueError for what is no signed vCon.
    """
    (signature,) = document["signatures"]
    for found, own in (
        (document, {"payload", "signatures"}),
        (signature, {"protected", "header", "signature"}),
        (signature["header"], {"x5c", "uuid"}),
    ):
        for name in found:
            if name not in own:
                return str(name)
    return None


def is_certified(document: Mapping[str, Any], key: VerifyingKey) -> bool:
    """Whether the certificate in a signed vCon, and there is one, is of ``key`` and was made with it."""
    try:
        (text,) = document["signatures"][0]["header"]["x5c"]
        content = base64.b64decode(text, validate=True)
        found = x509.load_der_x509_certificate(content)
        found.verify_directly_issued_by(found)
    except (KeyError, TypeError, ValueError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return found.public_key() == key.public and base64.b64encode(content).decode() == text


def certificate(key: SigningKey) -> bytes:
    """A certificate of the key by itself, in DER: it says no more than the key does, and is the same each time."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, issuer(key.fingerprint))])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.private.public_key())
        .serial_number(int(key.fingerprint, 16) + 1)
        .not_valid_before(_BEGINS)
        .not_valid_after(_NEVER_ENDS)
        .sign(key.private, None)
    )
    return made.public_bytes(serialization.Encoding.DER)


def issuer(fingerprint: str) -> str:
    """The name under which an installation's uuids are unique, and which its certificate has."""
    return f"{fingerprint}.evidence.ccari.invalid"


@contextmanager
def _known_by_its_older_name() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SecurityWarning)
        yield
