"""``ccari doctor``: what a callee would find out, told to an operator before.

``command.py`` prints; ``rounds.py`` goes from one check to the next; ``findings.py`` is what each of them gives, and what
bounds it. Nothing that is looked at is changed.
"""

from ccari.cli.doctor.command import command

__all__ = ["command"]
