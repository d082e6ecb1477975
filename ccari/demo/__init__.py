"""Real calls between two Asterisks, to be watched."""
