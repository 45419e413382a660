"""A request whose outputs are computed by more than one run of the model."""

from __future__ import annotations

from collections.abc import Callable

from plimsoll.runtime.model import RunOptions
from plimsoll.runtime.server.request import InferenceRequest
from plimsoll.runtime.tensors import Array


class ComputedRequest(InferenceRequest, kw_only=True, gc=False):
    """`compute` gives the outputs in a thread. It looks at `terminate` of the options between two runs: nobody may
    wait for its outputs any more.
    """

    compute: Callable[[RunOptions], dict[str, Array]]
