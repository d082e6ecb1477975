"""``ccari doctor``: tells an operator what is wrong before a callee finds out.

``command.py`` prints, ``rounds.py`` runs all checks, ``findings.py`` defines a check's result and time-out. ``readiness.py`` also serves
``ccari policy``. The checks change nothing.
"""

from ccari.cli.doctor.command import command

__all__ = ["command"]
