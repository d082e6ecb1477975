"""Protocols and data by which the adapters use one another without importing one another."""
