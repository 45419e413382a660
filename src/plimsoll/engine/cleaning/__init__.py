"""Removes what no run, service or version needs any more: what is needed, what is there, and the removal."""
