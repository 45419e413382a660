"""Run an AI application from one file, and prove by behaviour what a target can carry."""

__version__ = "0.1.0"
