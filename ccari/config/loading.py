"""Reading the settings from ``ccari.toml`` and the environment, and saying what is wrong with them."""

import os
import re
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import get_args

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from ccari.config.sections import ENV_PREFIX, Section, Settings
from ccari.config.values import BOM
from ccari.errors import ConfigError, not_utf8
from ccari.policy.faults import with_advice

DEFAULT_PATHS = (Path("ccari.toml"), Path("/etc/ccari/ccari.toml"))
#: The environment variables that may hold a password.
_SECRET = frozenset({"CCARI_ASTERISK__PASSWORD", "CCARI_DATABASE__URL", "CCARI_ASTERISK", "CCARI_DATABASE"})


def load(path: Path | None) -> Settings:
    """The settings from the file at ``path``, or from the first default file that exists. The environment
    overrides the file.

    Raises
    ------
    ConfigError
        For the first fault, with its key.
    """
    if path is None:
        path = _default_path()
    document = parsed(path) if path is not None else {}
    _refuse_unknown_variables()
    try:
        return Settings(**document)  # type: ignore[arg-type]
    except ValidationError as error:
        fault = error.errors()[0]
        key = ".".join(str(part) for part in fault["loc"])
        where = f"{path} or the environment" if path else "the environment"
        raise ConfigError(f"{where}: {key}: {_words(fault)}") from None


#: Examples for values without a default, or whose default does not show enough: an IPv6 address needs brackets.
_EXAMPLES = {
    ("asterisk", "name"): "pbx-07",
    ("time_stamps", "username"): "ccari, with neither a colon nor a space",
    ("agi", "listen"): "127.0.0.1:4573 or [::1]:4573",
    ("http", "listen"): "127.0.0.1:8090 or [::1]:8090",
}


def _words(fault: ErrorDetails) -> str:
    """What is wrong with a value. If it does not match a pattern, give an example, which says more than the pattern."""
    match fault:
        case {"type": "extra_forbidden", "loc": loc}:
            return f"{_elsewhere(loc)}is not a known key; known are {', '.join(_known_beside(loc))}"
        case {"type": "int_parsing" | "int_type" | "float_parsing" | "float_type"}:
            return "must be a number, without quotes or a unit"
        case {"type": "string_type"}:
            return "must be text in quotes"
        case {"type": "missing"}:
            return "is missing"
        case {"type": "string_pattern_mismatch", "loc": (str(section), str(key))} if example := _EXAMPLES.get(
            (section, key)
        ) or getattr(getattr(Settings.model_construct(), section, None), key, None):
            return f"must look like {example}"
        case {"type": "tuple_type", "loc": (str(name),)}:
            return f"write [[{name}]], in double brackets, for each"
        case {"type": "tuple_type"}:
            return 'must be a list such as ["…", "…"]'
        case {"type": "model_type", "loc": (str(name),)}:
            return f"must be a table: write [{name}], and its keys below it"
        case _:
            return re.sub(r"^(Input|String|Value) should", "must", fault["msg"].removeprefix("Value error, "))


def _known_beside(loc: tuple[int | str, ...]) -> Iterable[str]:
    """The keys that may stand where the last of ``loc`` does."""
    return Settings.model_fields if len(loc) == 1 else _keys_of(str(loc[0]))


def _keys_of(name: str) -> Iterable[str]:
    """The keys of a section; none if ``name`` is that of a single value."""
    annotation = Settings.model_fields[name].annotation
    for each in (annotation, *get_args(annotation)):
        if isinstance(each, type) and issubclass(each, Section):
            return each.model_fields
    return ()


def _elsewhere(loc: tuple[int | str, ...]) -> str:
    """Where a known key belongs that is in the wrong place, as an introduction; empty for an unknown one."""
    key = str(loc[-1])
    if len(loc) > 1 and key in Settings.model_fields:
        return "belongs above the first [section] of the file: in a section it "
    homes = [f"[{name}]" for name in Settings.model_fields if key in _keys_of(name) and name != "webhooks"]
    return f"belongs in {' or '.join(homes)}: here it " if homes else ""


def forget_secrets() -> None:
    """Remove secrets from the environment: every process we start would inherit them, and PostgreSQL would
    keep them for weeks.
    """
    for name in list(os.environ):
        if name.upper() in _SECRET:
            del os.environ[name]


def _default_path() -> Path | None:
    for path in DEFAULT_PATHS:
        try:
            path.stat()
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            # the file may well exist: going on without it would mean running with other settings
            advice = (
                ""
                if path.is_absolute()
                else ": run it in a folder that its user can read, such as /etc/ccari"
            )
            raise ConfigError(f"cannot read {path.absolute()}: {error.strerror}{advice}") from None
        return path
    return None


def parsed(path: Path) -> dict[str, object]:
    """The file's content, unchecked. Raises ConfigError if it cannot be read, or is not TOML."""
    try:
        text = path.read_text("utf-8").removeprefix(BOM)
        return tomllib.loads(text)
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from None
    except RecursionError:
        raise ConfigError(f"{path} is not TOML: it is nested too deeply") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: {not_utf8(error)}") from None
    except ValueError as error:
        # an error of tomllib, or one of Python's own that tomllib lets through
        raise ConfigError(f"{path} is not TOML: {with_advice(str(error))}") from None


def _refuse_unknown_variables() -> None:
    """Refuse variables with our prefix that set nothing: a mistyped one would be ignored silently, and lists
    cannot be set by variables.
    """
    known = {name.upper() for name in Settings.model_fields}
    for name in os.environ:
        if not name.startswith(ENV_PREFIX):
            continue
        key = name.removeprefix(ENV_PREFIX)
        section = key.split("__", 1)[0]
        if section not in known | {"LAB", "CONFIG"} and not section.startswith("LAB_"):
            raise ConfigError(
                f"the environment variable {name} is not a known setting: two underscores are between section and key, "
                "as in CCARI_HTTP__LISTEN"
            )
        if section == "WEBHOOKS":
            raise ConfigError(
                f"the environment variable {name} has no effect: declare webhooks in ccari.toml, with [[webhooks]] for each"
            )
        if key in known - {"DATA_DIR"}:
            raise ConfigError(f"the environment variable {name} names a section: set {name}__KEY instead")
