"""ccari: no call without a lawful basis, no recording without a notice, no request lost."""

__version__ = "0.1.0"
