"""Forwarding requests to the controller without delay, as a processor must: Article 28(3)(e) GDPR."""
