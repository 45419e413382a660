"""Builds container images from plain files, without a container engine."""
