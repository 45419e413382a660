"""Models as signed OCI artifacts, in a layout on this disk and in registries: versions, lineage, acceptance."""
