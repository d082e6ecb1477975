"""The message to a controller about a request, and its signature.

It follows Standard Webhooks 1.0.0 (github.com/standard-webhooks/standard-webhooks): the event's fields beside ``type`` and ``timestamp``,
signed together with the message's id and the time of sending.
"""

import base64
import hashlib
import hmac
from datetime import UTC

import orjson

from ccari.policy.rights import Level
from ccari.ports.forwarding import Forward


def change_name(forward: Forward) -> str:
    """``REFERENCE-SEQ``: which change of which request the message is about."""
    return f"{forward.reference}-{forward.seq}"


def message_id(forward: Forward) -> str:
    """The message's id, the same at each attempt, so that a receiver recognises a repetition.

    With the moment of the change: a database that was restored may give a reference out again, and the receiver would take that
    request for one that it has.
    """
    return f"{change_name(forward)}-{forward.at.astimezone(UTC):%Y%m%dT%H%M%S%f}"


def message(forward: Forward) -> bytes:
    """The JSON object. ``sequence`` orders the changes of a request; ``number`` is null once it is closed."""
    fields = {
        "type": "request.received" if forward.seq == 1 else "request.changed",
        "timestamp": forward.at,
        "reference": forward.reference,
        "sequence": forward.seq,
        "right": forward.right,
        "article": forward.article,
        "controller": forward.controller,
        "campaign": forward.campaign,
        "purpose": forward.purpose,
        "number": forward.number,
        "received_at": forward.received_at,
        "due": forward.due,
        "state": forward.state,
        "level": Level(forward.level).name,
        "reason": forward.reason,
    }
    return orjson.dumps(fields, option=orjson.OPT_UTC_Z)


def signature(secret: bytes, message_id: str, timestamp: int, body: bytes) -> str:
    """The value of ``webhook-signature``; ``timestamp`` in seconds since the epoch."""
    signed = b".".join((message_id.encode("ascii"), str(timestamp).encode("ascii"), body))
    return "v1," + base64.b64encode(hmac.new(secret, signed, hashlib.sha256).digest()).decode("ascii")
