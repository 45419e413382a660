"""The images that the file names are pinned by digest, and from registries that it allows."""

from __future__ import annotations

from collections.abc import Iterator

from plimsoll.application.policies import CHAIN, Policies
from plimsoll.policy.facts import Facts
from plimsoll.policy.findings import Judged
from plimsoll.policy.objects.images import image_problem

GATE = "images"


def images(policies: Policies, facts: Facts) -> Iterator[Judged]:
    """Judge each image."""
    wanted = policies.chain.images
    if wanted is None:
        return
    for each in facts.images:
        problem = image_problem(each.image, wanted)
        if not problem:
            yield Judged(gate=GATE, about=each.image, verdict="passed", reason=each.of)
            continue
        yield Judged(
            gate=GATE,
            about=each.image,
            verdict="broken",
            reason=problem,
            remedy=f"name it as IMAGE@sha256:… of an allowed registry; {'.'.join(CHAIN[1:])}.images says which",
            where=each.place,
        )
