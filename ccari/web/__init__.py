"""What ccari answers over HTTP."""
