"""Passing requests on to the controller at once, as a processor must: Article 28(3)(e) GDPR."""
