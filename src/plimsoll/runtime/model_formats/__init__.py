"""What a model file is, by its bytes and not by its name, within bounds and without running anything of it."""
