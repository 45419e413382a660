"""Container images from plain files, without a container engine."""
