"""Runs a plan on a target: order, retries, resume, and the journal that records all of it."""
