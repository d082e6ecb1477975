"""Evidence: sealed journals, and the pack that proves one of them to a reader who has only the pack and a public key."""
