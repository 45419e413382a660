"""vLLM: safetensors on accelerators, in a container of its own.

Source: vLLM's documentation of `vllm serve`, its flags and its endpoint /health; of its NixlConnector, by which engines
that read questions hand what they have read to those that write. By contract: no test runs it.
"""

from __future__ import annotations

from plimsoll.llms.engines.engine import Container, Engine, Serving

IMAGE = "vllm/vllm-openai:v0.11.0"
APART_IMAGE = "ghcr.io/llm-d/llm-d-cuda:v0.6.0"
"""llm-d's own, which has NIXL in it."""
_HANDING_ON = '{"kv_connector":"NixlConnector","kv_role":"kv_both"}'
_OWN_ADDRESS = "VLLM_NIXL_SIDE_CHANNEL_HOST"
"""The variable of where an engine is asked for what it has read."""


def container(serving: Serving) -> Container:
    """The command of its server."""
    apart = serving.role != "whole"
    command = [
        *("vllm", "serve", serving.model),
        *("--served-model-name", serving.name),
        *("--host", "0.0.0.0", "--port", str(serving.port)),  # noqa: S104 - the pod's own policy says who reaches it
        *("--max-model-len", str(serving.context)),
        *("--max-num-seqs", str(serving.slots)),
        "--enable-prefix-caching",
        # llm-d's vLLM is a newer one, which logs no requests unless it is told to.
        *(("--kv-transfer-config", _HANDING_ON) if apart else ("--disable-log-requests",)),
    ]
    if serving.accelerators > 1:
        command += ["--tensor-parallel-size", str(serving.accelerators)]
    if serving.adapters:
        command += ["--enable-lora", "--max-loras", str(len(serving.adapters)), "--lora-modules"]
        command += [f"{name}={path}" for name, path in serving.adapters.items()]
    # The files are there and verified: nothing is to be looked for elsewhere, and nothing is told to anybody.
    environment = {"HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1", "HOME": "/tmp"}  # noqa: S108 - in a container
    return Container(
        image=APART_IMAGE if apart else IMAGE,
        command=tuple(command),
        environment=environment,
        health="/health",
        port=serving.port,
        address=_OWN_ADDRESS if apart else "",
    )


ENGINE = Engine(
    name="vllm",
    formats=("safetensors",),
    settings=frozenset({"model", "engine", "context", "slots", "replicas", "prefill", "routing", "adapters", "limits"}),
    container=container,
    directory=True,
)
