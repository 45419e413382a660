"""Text Generation Inference: safetensors on accelerators, in a container of its own.

Source: the reference of text-generation-launcher, and its endpoint /health. By contract: no test runs it.
"""

from __future__ import annotations

from plimsoll.llms.engines.engine import PORT, Container, Engine, Serving

IMAGE = "ghcr.io/huggingface/text-generation-inference:3.3.5"


def container(serving: Serving) -> Container:
    """The command of its server."""
    command = [
        *("text-generation-launcher", "--model-id", serving.model),
        *("--hostname", "0.0.0.0", "--port", str(PORT)),  # noqa: S104 - the pod's own policy says who reaches it
        *("--max-total-tokens", str(serving.context)),
        *("--max-input-tokens", str(max(1, serving.context - serving.tokens))),
        *("--max-concurrent-requests", str(serving.slots)),
    ]
    if serving.accelerators > 1:
        command += ["--num-shard", str(serving.accelerators)]
    environment = {"HF_HUB_OFFLINE": "1", "USAGE_STATS": "off", "HOME": "/tmp"}  # noqa: S108 - in a container
    return Container(image=IMAGE, command=tuple(command), environment=environment, health="/health")


ENGINE = Engine(
    name="tgi",
    formats=("safetensors",),
    settings=frozenset({"model", "engine", "context", "slots", "replicas", "routing", "limits"}),
    container=container,
    directory=True,
)
