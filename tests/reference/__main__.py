"""Write docs/reference.md."""

from tests.reference.page import PAGE, page

PAGE.write_text(page(), "utf-8")
