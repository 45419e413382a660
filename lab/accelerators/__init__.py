"""Accelerators that are fake in silicon and real in everything that Kubernetes and the kernel do with them."""
