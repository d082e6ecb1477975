"""The record of processing activities (Article 30), drawn up from a revision of the policy."""
