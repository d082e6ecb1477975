"""Whether whoever answers for PyPI knows of holes: one that everybody knows is asked for, so that a mirror without the
advisories, which would find every package sound, is told from the database itself.

``python tests/advisories.py`` has exit status 0 if it does; else it says what is in the way.
"""

import json
import sys
import urllib.error
import urllib.request

#: Jinja2 2.10 has had known holes since 2019 (CVE-2019-10906).
KNOWN = "https://pypi.org/pypi/jinja2/2.10/json"
ANSWER_SECONDS = 3.0


def obstacle(known: str = KNOWN) -> str:
    """What is in the way of an audit; "" if nothing is."""
    try:
        with urllib.request.urlopen(known, timeout=ANSWER_SECONDS) as answer:  # noqa: S310 - our own constant
            found = json.load(answer)["vulnerabilities"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        return f"the Python advisory database does not answer ({error})"
    return "" if found else "whoever answers for the Python advisory database knows of no hole at all"


if __name__ == "__main__":
    said = obstacle()
    if said:
        print(said)
    sys.exit(bool(said))
