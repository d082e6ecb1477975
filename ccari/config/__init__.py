"""The settings: ``ccari.toml`` and the environment, validated together.

- ``sections``: every setting, with its default;
- ``values``: what a value may be;
- ``loading``: reading them, and saying what is wrong.
"""

from ccari.config.loading import DEFAULT_PATHS, forget_secrets, load, parsed
from ccari.config.sections import (
    AsteriskSection,
    DatabaseSection,
    KeysSection,
    RecordingsSection,
    Settings,
    TimeStampsSection,
    WebhookSection,
)
from ccari.config.values import OFF, PASSWORD_FILE, password_in

__all__ = [
    "DEFAULT_PATHS",
    "OFF",
    "PASSWORD_FILE",
    "AsteriskSection",
    "DatabaseSection",
    "KeysSection",
    "RecordingsSection",
    "Settings",
    "TimeStampsSection",
    "WebhookSection",
    "forget_secrets",
    "load",
    "parsed",
    "password_in",
]
