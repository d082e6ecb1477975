"""``ccari demo``."""

import typer


def command(context: typer.Context) -> None:
    """Place real calls between two Asterisks and show what becomes of them."""
