"""Each framework's own contract for distributed training: one module a framework, one line in the table."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from plimsoll.runtime.contracts.gang import Contract
from plimsoll.runtime.contracts.jax import Jax
from plimsoll.runtime.contracts.lightgbm import LightGBM
from plimsoll.runtime.contracts.mpi import MPI
from plimsoll.runtime.contracts.plain import Plain
from plimsoll.runtime.contracts.ray import Ray
from plimsoll.runtime.contracts.tensorflow import TensorFlow
from plimsoll.runtime.contracts.torch import Torch
from plimsoll.runtime.contracts.xgboost import XGBoost

CONTRACTS: Mapping[str, Contract] = MappingProxyType(
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


def contract_of(framework: str) -> Contract:
    """The contract of a framework. Raises KeyError for one that this version cannot run."""
    return CONTRACTS[framework]


def script_path(name: str) -> Path:
    """Where a script of `runtime.rendezvous` is. They stand alone: another Python may run them."""
    return Path(__file__).resolve().parents[1] / "rendezvous" / name
