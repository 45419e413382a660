"""Runs a plan on a target: order, retries, resume, and the journal that all of it stands in."""
