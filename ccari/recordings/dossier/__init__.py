"""The dossier of one person, for whoever examines a complaint: what is on record of them, with the evidence of each call and request."""
