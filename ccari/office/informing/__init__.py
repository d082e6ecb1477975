"""The information for data subjects (Articles 13 and 14), drawn up from a revision of the policy."""
