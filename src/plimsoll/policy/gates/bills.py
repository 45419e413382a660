"""Versions have a bill of materials by a trusted key, which lists data and code, and leaves no packages out."""

from __future__ import annotations

from collections.abc import Iterator

from plimsoll.application.policies import Policies
from plimsoll.policy.facts import Facts, ModelFacts
from plimsoll.policy.findings import Judged, Verdict

GATE = "sbom"
_PACKAGES = "plimsoll:packages"


def bills(policies: Policies, facts: Facts) -> Iterator[Judged]:
    """Judge each version."""
    if GATE not in policies.chain.require:
        return
    for model in facts.models:
        verdict, reason, remedy = _judged(model)
        where = "" if verdict == "passed" else model.place
        yield Judged(gate=GATE, about=model.reference, verdict=verdict, reason=reason, remedy=remedy, where=where)


def _judged(model: ModelFacts) -> tuple[Verdict, str, str]:
    again = f"register it again: plimsoll run --force register/{model.name} attaches the statements that it lacks"
    if model.sbom is None:
        return "broken", model.sbom_problem or "it has no bill of materials", again
    try:
        about = model.sbom["metadata"]
        component = about["component"]
        named = (str(component["name"]), str(component.get("version", "")))
        listed = {str(each["name"]) for each in model.sbom["components"]}
        gap = next((str(each["value"]) for each in about.get("properties", ()) if each["name"] == _PACKAGES), "")
    except (KeyError, TypeError, AttributeError):
        return "broken", "its bill of materials is not of CycloneDX", again
    if named != (model.name, str(model.version)):
        return "broken", f"its bill of materials is about {'@'.join(named)}", again
    missing = [name for name in (*model.data, *model.code) if name not in listed]
    if missing:
        return "broken", f"its bill of materials does not list {', '.join(missing[:5])}", again
    # With which packages others have trained a brought model is nobody's to know here.
    if gap and model.origin is None:
        remedy = "train it with an environment that this machine makes: `requirements` of spec.environment"
        return "unknown", f"the packages of its environment are {gap}", remedy
    return "passed", "CycloneDX, by a trusted key", ""
