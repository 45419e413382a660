"""Scripts that run before or around the workers of a gang. Each runs by its path, with the step's own Python."""
