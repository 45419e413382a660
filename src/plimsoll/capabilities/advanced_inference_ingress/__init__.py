"""Requests are routed by model and load, through an InferencePool and its endpoint picker. Source: KAR-0011.

Whether it is served is looked up; the picker itself cannot be brought along yet.
"""

from plimsoll.capabilities.advanced_inference_ingress.judge import judge
from plimsoll.capabilities.advanced_inference_ingress.probe import observe, obstacle

__all__ = ["judge", "observe", "obstacle"]
