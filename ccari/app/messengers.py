"""What is sent out: requests to their controllers, and events to the configured webhooks."""

import contextlib
from collections.abc import AsyncIterator
from functools import partial

from ccari.config import Settings, WebhookSection
from ccari.errors import ConfigError
from ccari.forward.courier import Courier
from ccari.forward.notifier import Notifier, Target
from ccari.forward.secret import WebhookSecrets, decoded, read_secret
from ccari.forward.webhook import open_webhook
from ccari.ports.metering import UNMETERED, Meter
from ccari.ports.webhooks import Endpoint
from ccari.store.opened import Store
from ccari.store.policies import Book
from ccari.tasks import beside


@contextlib.asynccontextmanager
async def open_courier(
    settings: Settings, store: Store, book: Book, meter: Meter = UNMETERED
) -> AsyncIterator[Courier]:
    """Passes requests on to the controllers of the policy in force."""
    async with open_webhook() as webhook:
        yield Courier(store.forwards, book, WebhookSecrets(settings.keys_dir), webhook, meter=meter)


@contextlib.asynccontextmanager
async def forwarding(settings: Settings, store: Store, book: Book, meter: Meter) -> AsyncIterator[None]:
    """Pass requests on while the context lasts; one under way at its end is sent again by the next service."""
    async with open_courier(settings, store, book, meter) as courier, beside(courier.run):
        yield


@contextlib.asynccontextmanager
async def notifying(settings: Settings, store: Store, book: Book, meter: Meter) -> AsyncIterator[None]:
    """Send events to the configured webhooks while the context lasts; one under way at its end is sent again
    by the next service.
    """
    async with open_webhook() as webhook:
        notifier = Notifier(store.webhooks, book, targets(settings), webhook, meter=meter)
        async with beside(notifier.run):
            yield


def targets(settings: Settings) -> list[Target]:
    """The configured webhooks. Raises ConfigError if one has no usable secret."""
    found = []
    for section in settings.webhooks:
        endpoint = Endpoint(section.name, section.events, section.controllers)
        target = Target(endpoint, str(section.url), partial(webhook_secret, section))
        # read it now, so that a fault shows at start-up
        target.secret()
        found.append(target)
    return found


def webhook_secret(section: WebhookSection) -> bytes:
    """The secret of a webhook. Raises ConfigError if it is malformed, or its file is missing."""
    if section.secret is not None:
        secret = decoded(section.secret.get_secret_value())
        if secret is None:
            raise ConfigError(f"[[webhooks]] {section.name}: secret must look like whsec_…")
        return secret
    if section.secret_file is None:
        raise AssertionError("a webhook has a secret, or a file with it")
    try:
        return read_secret(section.secret_file)
    except FileNotFoundError:
        raise ConfigError(f"[[webhooks]] {section.name}: there is no file {section.secret_file}") from None
