"""TensorFlow: TF_CONFIG. Source: tf.distribute.cluster_resolver.TFConfigClusterResolver."""

from __future__ import annotations

import json
from collections.abc import Mapping

from plimsoll.runtime.contracts.gang import Gang


class TensorFlow:
    """Every worker listens on its own address. By TensorFlow's convention, worker 0 is the chief."""

    rendezvous_script = None
    launcher = False
    node_script = None
    agent_script = None

    def environment(self, rank: int, gang: Gang) -> Mapping[str, str]:
        """TF_CONFIG with the cluster and the index of this worker."""
        cluster = {"worker": list(gang.addresses)}
        return {"TF_CONFIG": json.dumps({"cluster": cluster, "task": {"type": "worker", "index": rank}})}

    def files(self, gang: Gang) -> Mapping[str, str]:
        """No files."""
        return {}
