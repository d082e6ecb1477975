"""``python -m ccari``."""

from ccari.cli import main

main()
