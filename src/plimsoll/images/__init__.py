"""Build images without a container engine: layers of code and locked dependencies on a base image, reproducibly."""
