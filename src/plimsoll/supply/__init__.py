"""Where software and models come from: bills of materials, provenance, advisories, and what a model file may run."""
