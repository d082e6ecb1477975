"""The demonstration: real calls between two Asterisks, shown as they happen."""
