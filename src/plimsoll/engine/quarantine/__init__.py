"""Quarantine: a version is taken out of service, blocked, and what is known of it kept."""
