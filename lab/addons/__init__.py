"""Add-ons: other projects' programs, from their own modules and manifests, on the lab's cluster."""
