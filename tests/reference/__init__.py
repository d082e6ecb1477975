"""docs/reference.md, made of the code: ``python -m tests.reference``."""
