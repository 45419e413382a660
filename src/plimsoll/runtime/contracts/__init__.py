"""The environment that each framework expects for distributed training: one module and one table line each."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from plimsoll.runtime.contracts.gang import FrameworkContract
from plimsoll.runtime.contracts.jax import Jax
from plimsoll.runtime.contracts.lightgbm import LightGBM
from plimsoll.runtime.contracts.mpi import MPI
from plimsoll.runtime.contracts.plain import Plain
from plimsoll.runtime.contracts.ray import Ray
from plimsoll.runtime.contracts.tensorflow import TensorFlow
from plimsoll.runtime.contracts.torch import Torch
from plimsoll.runtime.contracts.xgboost import XGBoost

CONTRACTS: Mapping[str, FrameworkContract] = MappingProxyType(
    {
        "torch": Torch(),
        "jax": Jax(),
        "tensorflow": TensorFlow(),
        "xgboost": XGBoost(),
        "lightgbm": LightGBM(),
        "ray": Ray(),
        "mpi": MPI(),
        "none": Plain(),
    }
)


def contract_of(framework: str) -> FrameworkContract:
    """The contract of a framework. Raises KeyError for an unsupported framework."""
    return CONTRACTS[framework]


def script_path(name: str) -> Path:
    """The path of a script in `runtime.rendezvous`. The scripts are stand-alone: another Python may run them."""
    return Path(__file__).resolve().parents[1] / "rendezvous" / name
