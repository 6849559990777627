"""Registries: a client of the OCI distribution protocol."""
