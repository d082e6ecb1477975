"""The sections of ``ccari.toml``, with their keys and defaults."""

from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import quote

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    HttpUrl,
    SecretStr,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticKnownError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from ccari.config.values import (
    ADDRESS,
    FETCHED,
    HERE,
    OFF,
    PASSWORD_FILE,
    Listen,
    PerMinute,
    Place,
    ari_or_a_path,
    off_or_a_port,
    off_or_a_url,
    password_in,
)
from ccari.errors import ConfigError
from ccari.policy.declared import Identifier
from ccari.policy.parties import sealed
from ccari.ports.recordings import Channels
from ccari.ports.webhooks import Told

#: What the names of our environment variables begin with.
ENV_PREFIX = "CCARI_"


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    @field_validator("*", mode="before")
    @classmethod
    def _true_is_no_number(cls, value: object, info: ValidationInfo) -> object:
        """Pydantic would take ``true`` for 1, and ``false`` for 0."""
        if isinstance(value, bool) and cls.model_fields[str(info.field_name)].annotation in {int, float}:
            raise PydanticKnownError("int_type")
        return value


class AsteriskSection(Section):
    """``url``: the address of ARI, or the word ``off``: no ARI, so no call is made, taken or recorded over it.

    ``spool``: the folder of ARI recordings, ``recording`` below Asterisk's ``astspooldir``. If that is on another host, the
    word ``ari``: recordings are then fetched over ``url``. ``name``: what this Asterisk's calls are filed under, so that
    they are found again after a restart; by default, Asterisk's entity id with the host and port of ``url``.
    """

    url: Annotated[str, Field(pattern=rf"^({OFF}|https?://[^/?#@\s]+/?)$"), AfterValidator(off_or_a_url)] = (
        HERE
    )
    username: Annotated[str, Field(pattern=r"^[^:\s]+$")] = "ccari"
    password: SecretStr | None = None
    password_file: Place | None = None
    app: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,40}$")] = "ccari"
    spool: Annotated[Path, BeforeValidator(ari_or_a_path)] = Path("/var/spool/asterisk/recording")
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


class DatabaseSection(Section):
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


class AgiSection(Section):
    """``listen``: the address for FastAGI; ``off``: none. FastAGI has no password: anyone who can reach the
    address can use it.
    """

    listen: Annotated[str, Field(pattern=rf"^({OFF}|{ADDRESS})$"), AfterValidator(off_or_a_port)] = (
        "127.0.0.1:4573"
    )


class HttpSection(Section):
    """``gate_per_minute``: how often one token may ask the gate; ``checks_per_minute``: how often it may ask
    why a number is barred.
    """

    listen: Listen = "127.0.0.1:8090"
    gate_per_minute: PerMinute = 3000
    checks_per_minute: PerMinute = 60


class CallsSection(Section):
    """``at_once``: how many calls may be under way; beyond that, none begins. ``drain_seconds``: how long a
    stopping service waits for talks to end.
    """

    at_once: Annotated[int, Field(ge=1, le=100_000)] = 2000
    drain_seconds: Annotated[float, Field(ge=0, le=4 * 60 * 60)] = 60.0


class RecordingsSection(Section):
    """``encryption = "none"``: anyone who can read ``dir`` can listen to recordings. Use it only on disks
    that are encrypted themselves.
    """

    dir: Place | None = None
    format: Literal["wav", "flac", "opus"] = "flac"
    channels: Channels = Channels.MONO
    encryption: Literal["age", "none"] = "age"


class KeysSection(Section):
    dir: Place | None = None


class TimeStampsSection(Section):
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


class SoundsSection(Section):
    """``dir``: the folder of the prompts. ``asterisk_dir``: the same folder as Asterisk sees it, if that differs."""

    dir: Place | None = None
    asterisk_dir: Place | None = None


class WebhookSection(Section):
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


class LogSection(Section):
    format: Literal["json", "console"] = "json"
    level: Literal["debug", "info", "warning", "error"] = "info"


class Settings(BaseSettings):
    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX,
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
