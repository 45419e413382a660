"""Signing keys, trusted keys, and DSSE envelopes."""
