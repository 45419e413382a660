"""Accelerators with fake silicon. Everything that Kubernetes and the kernel do with them is real."""
