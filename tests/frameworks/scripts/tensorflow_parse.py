"""What TensorFlow's own parser makes of TF_CONFIG, told as metrics and lines."""

import json
import os
from pathlib import Path

import tensorflow as tf

resolver = tf.distribute.cluster_resolver.TFConfigClusterResolver()
cluster = resolver.cluster_spec().as_dict()
print("model", json.dumps(cluster, sort_keys=True), flush=True)
output = Path(os.environ["PLIMSOLL_OUTPUT"])
(output / "task.txt").write_text(f"{resolver.task_type} {resolver.task_id} of {len(cluster['worker'])}")
(output / "metrics.json").write_text(json.dumps({"accuracy": 1.0, "workers": len(cluster["worker"])}))
