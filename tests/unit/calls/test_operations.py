"""An operation's arguments go where its description says, and arguments that it does not know are not sent."""

from types import SimpleNamespace
from typing import Any

import pytest

from ccari.calls.operations import Operation, prepared

_URI = "http://pbx/ari/channels/{channelId}/play"
_TOLD = {
    "nickname": "play", "httpMethod": "POST",
    "parameters": [
        {"name": "channelId", "paramType": "path", "required": True},
        {"name": "media", "paramType": "query", "required": True},
        {"name": "offsetms", "paramType": "query", "required": False},
        {"name": "variables", "paramType": "body", "required": False},
    ],
}  # fmt: skip


class Wire:
    def __init__(self) -> None:
        self.sent: list[tuple[Any, ...]] = []

    async def request(self, method: str, url: str, params: Any = None, data: str | None = None) -> str:
        self.sent.append((method, url, params, data))
        return "reply"


def play(wire: Wire) -> Operation:
    return Operation(SimpleNamespace(json=_TOLD, uri=_URI), wire)


async def test_something_goes_to_another_place_than_it_belongs() -> None:
    wire = Wire()
    reply = await play(wire)(channelId="1.7", media=["sound:a", "sound:b"], offsetms=20, variables={"A": "1"})
    assert reply == "reply"
    assert wire.sent == [
        ("POST", "http://pbx/ari/channels/1.7/play", {"media": "sound:a,sound:b", "offsetms": 20},
         '{"variables": {"A": "1"}}')
    ]  # fmt: skip


async def test_an_empty_body_is_sent() -> None:
    wire = Wire()
    await play(wire)(channelId="1.7", media="sound:a")
    assert wire.sent[0][3] is None


async def test_an_id_reaches_another_resource() -> None:
    """A channel's id comes from Asterisk, or from whoever originated it: ``../bridges`` would be another place."""
    wire = Wire()
    await play(wire)(channelId="../bridges/a b?c", media="sound:a")
    assert wire.sent[0][1] == "http://pbx/ari/channels/..%2Fbridges%2Fa%20b%3Fc/play"


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        ({"channelId": "1.7", "media": "a", "volume": 3}, "play takes no volume"),
        ({"media": "a"}, "play needs channelId"),
        ({}, "play needs channelId, media"),
    ],
)
async def test_a_request_is_sent_that_asterisk_would_misread(given: dict[str, Any], fault: str) -> None:
    wire = Wire()
    with pytest.raises(TypeError, match=f"^{fault}$"):
        await play(wire)(**given)
    assert wire.sent == []


async def test_an_operation_answers_to_another_name() -> None:
    wire = Wire()
    described = SimpleNamespace(json=_TOLD, uri=_URI)
    api = prepared({"channels": SimpleNamespace(operations={"play": described})}, wire)
    await api.channels.play(channelId="1.7", media="sound:a")
    assert len(wire.sent) == 1
    assert not hasattr(api, "bridges")
