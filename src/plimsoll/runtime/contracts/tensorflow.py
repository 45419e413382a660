"""TensorFlow: TF_CONFIG. Source: tf.distribute.cluster_resolver.TFConfigClusterResolver."""

from __future__ import annotations

import json
from collections.abc import Mapping

from plimsoll.runtime.contracts.gang import Gang


class TensorFlow:
    """Every worker listens at its own address; worker 0 is the chief by TensorFlow's convention."""

    rendezvous_script = None
    launcher = False
    node_script = None

    def environment(self, rank: int, gang: Gang) -> Mapping[str, str]:
        """The cluster and this worker's place in it."""
        cluster = {"worker": list(gang.addresses)}
        return {"TF_CONFIG": json.dumps({"cluster": cluster, "task": {"type": "worker", "index": rank}})}

    def files(self, gang: Gang) -> Mapping[str, str]:
        """None."""
        return {}
