"""vLLM: safetensors on accelerators, in a container of its own.

Source: vLLM's documentation of `vllm serve`, its flags and its endpoint /health. By contract: no test runs it.
"""

from __future__ import annotations

from plimsoll.llms.engines.engine import PORT, Container, Engine, Serving

IMAGE = "vllm/vllm-openai:v0.11.0"


def container(serving: Serving) -> Container:
    """The command of its server."""
    command = [
        *("vllm", "serve", serving.model),
        *("--served-model-name", serving.name),
        *("--host", "0.0.0.0", "--port", str(PORT)),  # noqa: S104 - the pod's own policy says who reaches it
        *("--max-model-len", str(serving.context)),
        *("--max-num-seqs", str(serving.slots)),
        "--enable-prefix-caching",
        "--disable-log-requests",
    ]
    if serving.accelerators > 1:
        command += ["--tensor-parallel-size", str(serving.accelerators)]
    if serving.adapters:
        command += ["--enable-lora", "--max-loras", str(len(serving.adapters)), "--lora-modules"]
        command += [f"{name}={path}" for name, path in serving.adapters.items()]
    # The files are there and verified: nothing is to be looked for elsewhere, and nothing is told to anybody.
    environment = {"HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1", "HOME": "/tmp"}  # noqa: S108 - in a container
    return Container(image=IMAGE, command=tuple(command), environment=environment, health="/health")


ENGINE = Engine(
    name="vllm",
    formats=("safetensors",),
    settings=frozenset({"model", "engine", "context", "slots", "replicas", "routing", "adapters", "limits"}),
    container=container,
    directory=True,
)
