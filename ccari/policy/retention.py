"""When a recording is to be deleted: storage limitation, Article 5(1)(e)."""

from datetime import datetime, timedelta


def delete_at(recorded: datetime, retention_days: int) -> datetime:
    """The moment after which a recording may no longer be kept, from the campaign's own limit in days."""
    return recorded + timedelta(days=retention_days)
