"""Tenants of a cluster: a namespace each, with walls around it that the tenant's own people cannot move.

`tenant` is what is asked for, `manifests` the objects that this becomes (pure), `owning` the one place that writes.
"""
