"""Audit logs: chained lines, their verification, queries, and the formats of other systems."""
