"""Application and target facts to a plan. Pure: no clock, no files, no network, no processes."""
