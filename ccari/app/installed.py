"""What the settings say to a record of processing: the measures that this installation takes, and whom it tells of events."""

from ccari.config import Settings
from ccari.office.processing.record import Installed, Webhook, measures


def installed(settings: Settings) -> Installed:
    """Of a webhook's address only the host: its path may be a secret."""
    taken = measures(
        encrypted=settings.encrypts_recordings, time_stamped=settings.time_stamps.url is not None
    )
    told = [Webhook(each.url.host or "", each.events, each.controllers) for each in settings.webhooks]
    return Installed(taken, told)
