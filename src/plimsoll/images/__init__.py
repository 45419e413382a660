"""Images without a container engine: code and locked dependencies as layers on a base, the same from the same input."""
