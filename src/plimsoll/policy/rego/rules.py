"""Evaluates rules about a document, by the engine that is here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

from plimsoll.errors import FileError, MissingExtra
from plimsoll.policy.findings import Judged
from plimsoll.policy.rego.answers import judged
from plimsoll.policy.rego.engine import MOST_INPUT, NotRego, RegoEngine, queries_of
from plimsoll.policy.rego.files import read_rules
from plimsoll.policy.rego.kept import find_kept
from plimsoll.policy.rego.opa import find_opa

EXTRA = "rego"
ENGINES: Mapping[str, Callable[[], RegoEngine | None]] = MappingProxyType({"regopy": find_kept, "opa": find_opa})
"""What evaluates Rego, in the order in which it is looked for."""


def find_engine() -> RegoEngine | None:
    """The first engine that is here."""
    return next((found for find in ENGINES.values() if (found := find()) is not None), None)


def judge_rules(path: Path, document: bytes, about: str) -> tuple[Judged, ...]:
    """What rules say about a document in JSON. Raises FileError for what is no Rego, MissingExtra without an engine."""
    files = read_rules(path)
    engine = find_engine()
    if engine is None:
        raise MissingExtra(EXTRA, f"the rules in {path.name}")
    if len(document) > MOST_INPUT:
        raise FileError(f"there is more to judge than the {MOST_INPUT} bytes that rules are given", where=str(path))
    try:
        answers = engine.evaluate(files, document, queries_of(files))
    except NotRego as error:
        hint = "mend the rule: what cannot be read does not pass"
        raise FileError(f"this is not Rego: {error.message}", where=error.where, hint=hint) from error
    return judged(answers, about)
