"""Kubernetes objects ask for nothing that pods may not have; the same rules hold at admission on a cluster."""

from __future__ import annotations

from collections.abc import Iterator

from plimsoll.application.policies import Policies
from plimsoll.policy.facts import Facts, ObjectFacts
from plimsoll.policy.findings import Judged
from plimsoll.policy.objects.pods import TooDeep, pods_of
from plimsoll.policy.objects.rules import asked


def objects(policies: Policies, facts: Facts) -> Iterator[Judged]:
    """Judge each object by each rule that is asked for."""
    rules = asked(policies)
    for each in facts.objects if rules else ():
        name = _name(each)
        try:
            pods = pods_of(each.object)
        except TooDeep:
            yield Judged(
                gate="objects",
                about=name,
                verdict="unknown",
                reason="it is nested too deeply to be looked through",
                remedy="write it flatter",
                where=each.place,
            )
            continue
        for rule in rules:
            found = [(pod.path, problem) for pod in pods for problem in rule.problems(pod, policies)]
            for path, problem in found:
                yield Judged(
                    gate=rule.name,
                    about=name,
                    verdict="broken",
                    reason=f"{path}: {problem}",
                    remedy=rule.remedy,
                    where=each.place,
                )
            if pods and not found:
                yield Judged(gate=rule.name, about=name, verdict="passed", reason=rule.says)


def _name(facts: ObjectFacts) -> str:
    metadata = facts.object.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    name = metadata.get("name") or f"{metadata.get('generateName') or ''}…"
    return f"{facts.object.get('kind', 'an object')} {name}"
