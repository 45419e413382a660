"""`python -m benchmarks.hardening`, the same as `python -m benchmarks hardening`."""

from __future__ import annotations

from benchmarks.hardening.command import run

run()
