"""Evidence: journals sealed, and the pack that proves one of them to somebody who has nothing but the pack and a key."""
