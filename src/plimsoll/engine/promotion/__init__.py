"""Moving a new version of a model into service step by step, and back when it is worse.

`judging` is pure: counts of two versions to a judgement with its numbers. `counts` reads them from a metrics page,
`moving` does it.
"""
