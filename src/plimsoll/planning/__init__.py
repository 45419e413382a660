"""Plans an application for the facts of a target. Pure: no clock, no files, no network, no processes."""
