"""The command ``ccari``: exit 0 done, 1 refused or failed with one clear line on standard error, 2 usage."""

from ccari.cli.main import main

__all__ = ["main"]
