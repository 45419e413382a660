"""Encrypted connections of a server: its certificate, whose certificates it takes, and how a connection is opened."""
