"""Every claim of speed or size, each against a peer or a limit: `python -m benchmarks [NAME …]`."""
