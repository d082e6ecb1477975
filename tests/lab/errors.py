"""What the lab says when it cannot do its work."""


class LabError(Exception):
    """The lab cannot be built, started or asked; the message is one line for the person at the terminal."""
