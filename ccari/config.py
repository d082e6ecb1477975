"""The settings: ``ccari.toml`` and the environment, validated together."""

import os
import re
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal, Self, get_args
from urllib.parse import quote, urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    HttpUrl,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from ccari.errors import ConfigError, not_utf8
from ccari.policy.declared import Identifier
from ccari.policy.faults import with_advice
from ccari.policy.parties import sealed
from ccari.ports.recordings import Channels
from ccari.ports.webhooks import Told
from ccari.regular import open_regular

DEFAULT_PATHS = (Path("ccari.toml"), Path("/etc/ccari/ccari.toml"))
_ENV_PREFIX = "CCARI_"
_SECRET = frozenset({"CCARI_ASTERISK__PASSWORD", "CCARI_DATABASE__URL", "CCARI_ASTERISK", "CCARI_DATABASE"})

#: Editors on Windows may put it at the beginning of a file.
_BOM = "\ufeff"
#: The value that turns an address off.
OFF = "off"
#: The value of ``[asterisk] spool`` for a spool on another host.
FETCHED = Path("ari")
_ADDRESS = r"(\[[0-9a-fA-F:]+\]|[A-Za-z0-9.-]+):\d{1,5}"
_HERE = "http://127.0.0.1:8088"
_PORTS = range(1, 65536)


def _a_port(listen: str) -> str:
    # uvloop would silently use the last 16 bits of a larger number
    if int(listen.rpartition(":")[2]) not in _PORTS:
        raise ValueError(f"the port must be {_PORTS.start} to {_PORTS.stop - 1}")
    return listen


def _off_or_a_port(listen: str) -> str:
    return listen if listen == OFF else _a_port(listen)


def _off_or_a_url(url: str) -> str:
    if url == OFF:
        return url
    try:
        parts = urlsplit(url)
        sound = bool(parts.hostname) and (parts.port is None or parts.port in _PORTS)
    except ValueError:
        sound = False
    if not sound:
        raise ValueError(f"is not a URL: it must look like {_HERE}, or http://[::1]:8088")
    return url


def _a_path(path: object) -> object:
    """Refuse what is not a path; an empty or a relative one, because the service and a command run in different folders, and each would
    have a database and keys of its own; and a path that only a shell understands, for which a folder of that name would be created.
    """
    if not isinstance(path, str | Path):
        raise ValueError("must be a path in quotes")  # noqa: TRY004 - pydantic tells of no TypeError
    if path == "":
        raise ValueError("is empty: name a path, or leave it out")
    if "\0" in str(path):
        raise ValueError("has a character that is in no path")
    if str(path).startswith("~"):
        raise ValueError("begins with ~, which only a shell understands: write out the whole path")
    if not Path(path).is_absolute():
        raise ValueError("must be a whole path, from / on: another folder is meant wherever ccari is run")
    return path


def _ari_or_a_path(path: object) -> object:
    return path if isinstance(path, str | Path) and Path(path) == FETCHED else _a_path(path)


Listen = Annotated[str, Field(pattern=rf"^{_ADDRESS}$"), AfterValidator(_a_port)]
Place = Annotated[Path, BeforeValidator(_a_path)]
PerMinute = Annotated[int, Field(ge=1, le=1_000_000)]


#: The URL parameter that names the password's file. The password may change while the service runs.
PASSWORD_FILE = "password_file"  # noqa: S105 - a name


def password_in(file: Path, section: str) -> str:
    """The password in a section's file. Raises ConfigError if it cannot be read."""
    setting = f"[{section}] password_file {file}"
    try:
        with open_regular(file) as opened:
            password = opened.read().decode("utf-8").removeprefix(_BOM).strip()
    except OSError as error:
        raise ConfigError(f"{setting}: {error.strerror}: make it, readable by ccari's user only") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{setting} is not UTF-8 text: put only the password in it") from None
    if not password:
        raise ConfigError(f"{setting} is empty: put the password in it")
    return password


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class AsteriskSection(_Section):
    """``url``: the address of ARI, or the word ``off``: no ARI, so no call is made, taken or recorded over it.

    ``spool``: the folder of ARI recordings, ``recording`` below Asterisk's ``astspooldir``. If that is on another host, the
    word ``ari``: recordings are then fetched over ``url``. ``name``: what this Asterisk's calls are filed under, so that
    they are found again after a restart; by default, Asterisk's entity id with the host and port of ``url``.
    """

    url: Annotated[str, Field(pattern=rf"^({OFF}|https?://[^/?#@\s]+/?)$"), AfterValidator(_off_or_a_url)] = (
        _HERE
    )
    username: Annotated[str, Field(pattern=r"^[^:\s]+$")] = "ccari"
    password: SecretStr | None = None
    password_file: Place | None = None
    app: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,40}$")] = "ccari"
    spool: Annotated[Path, BeforeValidator(_ari_or_a_path)] = Path("/var/spool/asterisk/recording")
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")] | None = None

    @property
    def is_off(self) -> bool:
        return self.url == OFF

    @property
    def is_spool_remote(self) -> bool:
        return self.spool == FETCHED

    def secret(self) -> str:
        """The ARI password.

        Raises
        ------
        ConfigError
            If none is given, or its file cannot be read.
        """
        if self.password is not None:
            if not self.password.get_secret_value():
                raise ConfigError("[asterisk] password is empty: give the password of the ARI user")
            return self.password.get_secret_value()
        if self.password_file is None:
            raise ConfigError(
                "[asterisk] password or password_file is missing: give the password of the ARI user"
            )
        return password_in(self.password_file, "asterisk")


class DatabaseSection(_Section):
    """``url``: by default, the embedded database. ``password_file``: for a ``url`` without a password."""

    url: SecretStr | None = None
    password_file: Place | None = None

    def dsn(self) -> str | None:
        """The url, with :data:`PASSWORD_FILE` if there is such a file; None for the embedded database.

        Raises
        ------
        ConfigError
            If the file cannot be read, or there is a file but no url.
        """
        if self.password_file is None:
            return None if self.url is None else self.url.get_secret_value()
        if self.url is None:
            raise ConfigError("[database] password_file has no effect without url: set url")
        url = self.url.get_secret_value()
        # each connection reads the file; read it now too, so that a fault shows at once
        password_in(self.password_file, "database")
        return f"{url}{'&' if '?' in url else '?'}{PASSWORD_FILE}={quote(str(self.password_file), safe='')}"


class AgiSection(_Section):
    """``listen``: the address for FastAGI; ``off``: none. FastAGI has no password: anyone who can reach the
    address can use it.
    """

    listen: Annotated[str, Field(pattern=rf"^({OFF}|{_ADDRESS})$"), AfterValidator(_off_or_a_port)] = (
        "127.0.0.1:4573"
    )


class HttpSection(_Section):
    """``gate_per_minute``: how often one token may ask the gate; ``checks_per_minute``: how often it may ask
    why a number is barred.
    """

    listen: Listen = "127.0.0.1:8090"
    gate_per_minute: PerMinute = 3000
    checks_per_minute: PerMinute = 60


class CallsSection(_Section):
    """``at_once``: how many calls may be under way; beyond that, none begins. ``drain_seconds``: how long a
    stopping service waits for talks to end.
    """

    at_once: Annotated[int, Field(ge=1, le=100_000)] = 2000
    drain_seconds: Annotated[float, Field(ge=0, le=4 * 60 * 60)] = 60.0


class RecordingsSection(_Section):
    """``encryption = "none"``: anyone who can read ``dir`` can listen to recordings. Use it only on disks
    that are encrypted themselves.
    """

    dir: Place | None = None
    format: Literal["wav", "flac", "opus"] = "flac"
    channels: Channels = Channels.MONO
    encryption: Literal["age", "none"] = "age"


class KeysSection(_Section):
    dir: Place | None = None


class TimeStampsSection(_Section):
    """``url``: the authority that time-stamps the seals (RFC 3161); by default, none. ``certificates``: a PEM file with its
    root certificate, and any intermediate ones that it does not send. ``every_minutes``: the interval between time stamps.

    ``username`` and the password are for authorities that require them.
    """

    url: HttpUrl | None = None
    certificates: Place | None = None
    every_minutes: Annotated[int, Field(ge=1, le=24 * 60)] = 60
    username: Annotated[str, Field(pattern=r"^[^:\s]+$")] | None = None
    password_file: Place | None = None

    @field_validator("url")
    @classmethod
    def _without_password(cls, value: HttpUrl | None) -> HttpUrl | None:
        if value is not None and (value.username or value.password):
            raise ValueError("must not contain a user and password: set username and password_file")
        return value

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.url is not None and self.certificates is None:
            raise ValueError("needs certificates: a time stamp is worth nothing if nobody can check it")
        if (self.username is None) is not (self.password_file is None):
            raise ValueError("needs both username and password_file, or neither")
        return self

    def password(self) -> str:
        """The password for the authority; empty if it needs none. Raises ConfigError if its file cannot be read."""
        return password_in(self.password_file, "time_stamps") if self.password_file is not None else ""


class SoundsSection(_Section):
    """``dir``: the folder of the prompts. ``asterisk_dir``: the same folder as Asterisk sees it, if that differs."""

    dir: Place | None = None
    asterisk_dir: Place | None = None


class WebhookSection(_Section):
    """A webhook that is told of ``events``, by Standard Webhooks. ``secret``: ``whsec_`` and 24 to 64 bytes in base64.

    ``controllers``: only their events; by default, all. ``name``: identifies it in lists, and in the queue of its messages.
    """

    name: Identifier
    url: HttpUrl
    secret: SecretStr | None = None
    secret_file: Place | None = None
    events: Annotated[tuple[Told, ...], Field(min_length=1)]
    controllers: Annotated[tuple[Identifier, ...], Field(min_length=1)] | None = None

    @field_validator("url")
    @classmethod
    def _sealed(cls, value: HttpUrl) -> HttpUrl:
        return sealed(value)

    @model_validator(mode="after")
    def _one_secret(self) -> Self:
        if (self.secret is None) is (self.secret_file is None):
            raise ValueError("needs a secret or a secret_file")
        return self


class LogSection(_Section):
    format: Literal["json", "console"] = "json"
    level: Literal["debug", "info", "warning", "error"] = "info"


class Settings(BaseSettings):
    model_config = SettingsConfigDict(
        env_prefix=_ENV_PREFIX,
        env_nested_delimiter="__",
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
    )

    data_dir: Place = Path("/var/lib/ccari")
    asterisk: AsteriskSection = AsteriskSection()
    database: DatabaseSection = DatabaseSection()
    agi: AgiSection = AgiSection()
    http: HttpSection = HttpSection()
    calls: CallsSection = CallsSection()
    recordings: RecordingsSection = RecordingsSection()
    keys: KeysSection = KeysSection()
    time_stamps: TimeStampsSection = TimeStampsSection()
    sounds: SoundsSection = SoundsSection()
    log: LogSection = LogSection()
    webhooks: tuple[WebhookSection, ...] = ()

    @field_validator("webhooks")
    @classmethod
    def _each_once(cls, value: tuple[WebhookSection, ...]) -> tuple[WebhookSection, ...]:
        names = [each.name for each in value]
        if len(set(names)) != len(names):
            raise ValueError("each must have a different name")
        return value

    @property
    def keys_dir(self) -> Path:
        return self.keys.dir or self.data_dir / "keys"

    @property
    def recordings_dir(self) -> Path:
        return self.recordings.dir or self.data_dir / "recordings"

    @property
    def sounds_dir(self) -> Path:
        return self.sounds.dir or self.data_dir / "sounds"

    @property
    def encrypts_recordings(self) -> bool:
        """True if recordings are made, which needs ARI, and are encrypted."""
        return self.recordings.encryption == "age" and not self.asterisk.is_off

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - the library's signature
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return env_settings, init_settings


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
            return f"is not a known key; known are {', '.join(_known_beside(loc))}"
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
    if len(loc) == 1:
        return Settings.model_fields
    annotation = Settings.model_fields[str(loc[0])].annotation
    (section,) = (
        each
        for each in (annotation, *get_args(annotation))
        if isinstance(each, type) and issubclass(each, _Section)
    )
    return section.model_fields


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
        text = path.read_text("utf-8").removeprefix(_BOM)
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
        if not name.startswith(_ENV_PREFIX):
            continue
        key = name.removeprefix(_ENV_PREFIX)
        section = key.split("__", 1)[0]
        if section not in known | {"LAB", "CONFIG"} and not section.startswith("LAB_"):
            raise ConfigError(f"the environment variable {name} is not a known setting")
        if section == "WEBHOOKS":
            raise ConfigError(
                f"the environment variable {name} has no effect: declare webhooks in ccari.toml, with [[webhooks]] for each"
            )
        if key in known - {"DATA_DIR"}:
            raise ConfigError(f"the environment variable {name} names a section: set {name}__KEY instead")
