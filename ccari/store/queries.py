"""The SQL of ``sql/``, by name."""

import re
from importlib import resources

_NAME = re.compile(r"^-- name: (\w+)$", re.MULTILINE)


def _read() -> dict[str, str]:
    found: dict[str, str] = {}
    for file in resources.files("ccari.store").joinpath("sql").iterdir():
        _, *parts = _NAME.split(file.read_text("utf-8"))
        for name, body in zip(parts[::2], parts[1::2], strict=True):
            if name in found:
                raise AssertionError(f"two queries are called {name}")
            found[name] = body.strip()
    return found


SQL = _read()
