"""Models as signed OCI artifacts in an image layout on disk: digests, lineage, acceptance, versions."""
