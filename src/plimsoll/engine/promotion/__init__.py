"""Promotion: moves traffic to a new version of a model step by step, and rolls back when the version is worse.

`judging` is pure: it turns the counts of two versions into a judgement with its numbers. `promoting` moves the traffic.
"""
