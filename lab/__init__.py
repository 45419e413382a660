"""The lab: a real Kubernetes of several nodes on one Linux machine, built from source, without a container engine."""
