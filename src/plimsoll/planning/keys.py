"""Content keys: digests of the ingredients of steps.

A key covers everything that can change a result: the command, the code, the environment, the keys of the inputs and the
settings that the work depends on. It excludes limits, retries and placement, which change how a step runs but not its
result.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable

from plimsoll.planning.steps import Ingredient, Plan


def text_digest(text: str) -> str:
    """SHA-256 of a text, in hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()


def setting(name: str, value: object) -> Ingredient:
    """A setting of the file as an ingredient; the order of keys does not change the digest."""
    return Ingredient(kind="setting", name=name, digest=text_digest(json.dumps(value, sort_keys=True)))


def step_key(name: str, ingredients: Iterable[Ingredient]) -> str:
    """The key of a step: SHA-256 over its name and its sorted ingredients, in hexadecimal."""
    parts = sorted((part.kind, part.name, part.digest) for part in ingredients)
    return text_digest(json.dumps([name, parts]))


def plan_content(plan: Plan, forced: Collection[str] = ()) -> str:
    """A digest of all steps of a plan: equal for plans that come to the same results, whoever has made them.

    Results of steps that are forced are not those that others have.
    """
    steps = sorted((step.name, step.key, *([step.target] if step.target else ())) for step in plan.steps)
    return text_digest(json.dumps([*steps, sorted(forced)] if forced else steps))
