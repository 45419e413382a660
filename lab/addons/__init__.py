"""Add-ons: programs of other projects on the lab's cluster, built from their own modules and manifests."""
