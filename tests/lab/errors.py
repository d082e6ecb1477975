"""The error that the lab raises when it cannot do its work."""


class LabError(Exception):
    """The lab cannot be built, started or queried; the message is one line for the person at the terminal."""
