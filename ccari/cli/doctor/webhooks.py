"""Webhooks of the settings: what their messages are signed with, and what nobody was told."""

from collections.abc import Iterator

from ccari.app.messengers import webhook_secret
from ccari.cli.doctor.findings import Finding, doubt, refused, well
from ccari.config import Settings
from ccari.errors import ConfigError
from ccari.store.figures import untold
from ccari.store.opened import Store


def webhooks(settings: Settings) -> Iterator[Finding]:
    """Without its secret `ccari serve` does not begin."""
    for each in settings.webhooks:
        check = f"webhook {each.name}"
        try:
            webhook_secret(each)
        except ConfigError as error:
            yield refused(check, error, "give the secret that its owner has, such as whsec_…")
        else:
            yield well(check, "there is a secret to sign with")


async def given_up(store: Store) -> list[Finding]:
    """Those who were to be told something, and were tried for days."""
    found = await untold(store.database)
    told = [
        doubt(f"webhook {name}", f"{count} messages to it were given up",
              f"ccari webhooks list --state given_up --endpoint {name}; then: ccari webhooks retry --endpoint {name}, "
              f"or discard --endpoint {name} if nobody is to be told any more")
        for name, count in found.webhooks.items()
    ]  # fmt: skip
    if found.forwards:
        told.append(
            doubt("forwarding", f"{found.forwards} times a controller was not told of a request",
                  "ccari requests forwards tells why; then: ccari requests forwards --retry REFERENCE")
        )  # fmt: skip
    return told
