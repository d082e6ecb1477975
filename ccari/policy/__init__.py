"""The law as code: pure functions, no I/O, no await."""
