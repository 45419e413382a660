"""Requests are routed by model and load, through an InferencePool and its endpoint picker. Source: KAR-0011.

Two servers say in their metrics which models they hold and how many requests wait, and are told anew what to say; the
Inference Extension's own picker reads it. Requests follow a model, follow it when it moves, and for a model that nobody
holds follow the shorter queue. Past the pool the same requests reach both servers; without the picker they reach none.
"""

from plimsoll.capabilities.advanced_inference_ingress.judge import judge
from plimsoll.capabilities.advanced_inference_ingress.probe import observe, obstacle

__all__ = ["judge", "observe", "obstacle"]
