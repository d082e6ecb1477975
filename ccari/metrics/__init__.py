"""What ops watch, counted and exposed as Prometheus reads it."""
