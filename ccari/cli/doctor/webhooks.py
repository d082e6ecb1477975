"""Checks the webhooks of the settings: whether each has a secret to sign with, and which messages were given up."""

from collections.abc import Iterator

from ccari.app.messengers import webhook_secret
from ccari.cli.doctor.findings import Finding, ok, refused, warning
from ccari.config import Settings
from ccari.counting import counted
from ccari.errors import ConfigError
from ccari.store.figures import count_given_up
from ccari.store.opened import Store


def webhooks(settings: Settings) -> Iterator[Finding]:
    """The secret of each webhook, without which `ccari serve` does not start."""
    for each in settings.webhooks:
        check = f"webhook {each.name}"
        try:
            webhook_secret(each)
        except ConfigError as error:
            yield refused(check, error, "give the secret that the receiver uses, such as whsec_…")
        else:
            yield ok(check, "there is a secret to sign messages with")


async def given_up(store: Store) -> list[Finding]:
    """Messages to webhooks, and forwardings to controllers, that were given up after days of trying."""
    unsent = await count_given_up(store.database)
    findings = [
        warning(f"webhook {name}", f"ccari gave up delivering {counted(count, 'message')} to it",
                f"ccari webhooks list --state given_up --endpoint {name}; then: ccari webhooks retry --endpoint {name}, "
                f"or discard --endpoint {name} if they need not be delivered any more")
        for name, count in unsent.webhooks.items()
    ]  # fmt: skip
    if unsent.forwards:
        findings.append(
            warning("forwarding", f"{counted(unsent.forwards, 'message')} to tell a controller of a request could not be delivered",
                    "ccari requests forwards shows why; then: ccari requests forwards --retry REFERENCE")
        )  # fmt: skip
    return findings
