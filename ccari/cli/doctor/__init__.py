"""``ccari doctor``: tells an operator what is wrong before a callee finds out.

``command.py`` prints, ``rounds.py`` runs all checks, ``findings.py`` is what a check gives, and what limits its time. ``readiness.py``
also serves ``ccari policy``. The checks change nothing.
"""

from ccari.cli.doctor.command import command

__all__ = ["command"]
