"""Whether there are pools, and pickers behind them."""

from __future__ import annotations

from plimsoll.capabilities.facts import Facts
from plimsoll.capabilities.stage import Stage
from plimsoll.evidence.verdict import Verdict, failed, unknown

GROUP = "inference.networking.k8s.io"


def obstacle(facts: Facts) -> Verdict:
    """Fails where the pools' API is not served."""
    if not facts.serves(GROUP):
        return failed(
            "",
            f"{GROUP} is not served",
            "install the Gateway API Inference Extension and a gateway that implements it",
        )
    pickers = [each for each in facts.deployments if any("epp" in image.rsplit("/", 1)[-1] for image in each["images"])]
    where = f" ({pickers[0]['namespace']}/{pickers[0]['name']})" if pickers else ""
    return unknown(
        f"InferencePools are served, with {len(pickers)} endpoint pickers{where}; routing by them cannot be tried yet",
        "run the Inference Extension's own conformance tests against the gateway's class",
    )


def observe(stage: Stage, facts: Facts) -> None:
    """Nothing is made: `obstacle` always decides."""
