"""Reports of runs and evidence bundles, as an HTML page and in the terminal."""
