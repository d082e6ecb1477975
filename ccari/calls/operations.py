"""ARI's operations, as asyncari read them from Asterisk's Swagger files. Each description is parsed once.

asyncswagger's own operation walks its description with every request, and formats a log line even when that
log is off (docs/performance.md).
"""

import json
from collections.abc import Awaitable, Mapping
from types import SimpleNamespace
from typing import Any, Protocol
from urllib.parse import quote

_KINDS = "path", "query", "body"


class Described(Protocol):
    """asyncswagger's ``Operation``. ``json``: its description in Swagger 1.1."""

    uri: str
    json: Mapping[str, Any]


class Requesting(Protocol):
    async def request(
        self, method: str, url: str, params: Mapping[str, Any] | None = None, data: str | None = None
    ) -> Any: ...


class Operation:
    """One ARI request, called with its parameters by name: ``await operation(channelId=…, media=…)``.

    A list is sent as comma-separated values; body parameters are sent as JSON.

    Raises
    ------
    TypeError
        If a name is unknown to the operation, or a required one is missing.
    Refused, LinkLost
        As the transport does.
    """

    __slots__ = ("_body", "_method", "_name", "_needed", "_path", "_query", "_transport", "_uri")

    def __init__(self, described: Described, transport: Requesting) -> None:
        swagger = described.json
        parameters = swagger.get("parameters", ())
        names = {
            kind: frozenset(each["name"] for each in parameters if each["paramType"] == kind)
            for kind in _KINDS
        }
        self._path, self._query, self._body = (names[kind] for kind in _KINDS)
        self._needed = frozenset(each["name"] for each in parameters if each["required"])
        self._name, self._method, self._uri = swagger["nickname"], swagger["httpMethod"], described.uri
        self._transport = transport

    def __call__(self, **given: Any) -> Awaitable[Any]:
        uri, query, body = self._uri, dict[str, Any](), dict[str, Any]()
        if not self._needed <= given.keys():
            raise TypeError(f"{self._name} needs {', '.join(sorted(self._needed - given.keys()))}")
        for name, value in given.items():
            sent = ",".join(value) if isinstance(value, list) else value
            if name in self._path:
                uri = uri.replace(f"{{{name}}}", quote(sent, safe=""))
            elif name in self._query:
                query[name] = sent
            elif name in self._body:
                body[name] = value
            else:
                raise TypeError(f"{self._name} takes no {name}")
        return self._transport.request(
            self._method, uri, params=query, data=json.dumps(body) if body else None
        )


def prepared(resources: Mapping[str, Any], transport: Requesting) -> Any:
    """Prepare the operations of asyncswagger's ``resources``. They are called by both names: ``channels.playWithId``."""
    return SimpleNamespace(**{
        name: SimpleNamespace(**{
            nickname: Operation(described, transport) for nickname, described in resource.operations.items()
        })
        for name, resource in resources.items()
    })  # fmt: skip
