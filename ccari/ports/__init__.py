"""The protocols, and the data that goes through them, by which the adapters use one another without importing one another."""
