"""What browsers keep of what is typed: ``tests/browser/test_kept_by_the_browser.py`` tries Chromium, which heeds something else."""

import re
from importlib import resources

_FIELDS = re.compile(r"<(?:input|textarea)\b[^>]*>")
#: Fields in which nobody types words or numbers, or that no browser keeps without asking.
_UNTYPED = re.compile(r'type="(?:hidden|checkbox|date|file|password)"')


def test_firefox_keeps_what_was_typed_to_restore_its_tabs_and_to_suggest_it_again() -> None:
    # tried with Firefox 153: it writes each field that does not refuse this into its profile while it is typed, and when it is sent
    templates = resources.files("ccari.web.console").joinpath("templates").iterdir()
    typed = [
        (template.name, field)
        for template in templates
        for field in _FIELDS.findall(template.read_text("utf-8"))
        if not _UNTYPED.search(field)
    ]
    assert len(typed) > 10
    assert [each for each in typed if 'autocomplete="off"' not in each[1]] == []
