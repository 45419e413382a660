import json
import os
from pathlib import Path

import numpy as np
import ray
from data import accuracy, points

ray.init()
kept = Path(os.environ["PLIMSOLL_CHECKPOINT"], "weights.npy")
SIZE = int(os.environ["WORLD_SIZE"])


@ray.remote(num_cpus=1)
class Worker:
    """Has one share of the rows, on a node of its own: a node has as many processors as a worker's share of them."""

    def __init__(self, rank):
        self.x, self.y = points(rank, SIZE)

    def node(self):
        return ray.get_runtime_context().get_node_id()

    def gradient(self, weights):
        error = 1 / (1 + np.exp(-(self.x @ weights[:-1] + weights[-1]))) - self.y
        return np.append(self.x.T @ error, error.sum()) / len(self.y)


workers = [Worker.remote(rank) for rank in range(SIZE)]
nodes = len(set(ray.get([worker.node.remote() for worker in workers])))
weights, begin = np.zeros(5), 0
if kept.exists():
    *weights, begin = np.load(kept)
    weights, begin = np.array(weights), int(begin)
    print("from step", begin, flush=True)
for step in range(begin, 200):
    if step == int(os.environ.get("DIE_AT", "-1")) and begin == 0:
        os._exit(9)
    weights = weights - 2.0 * np.mean(ray.get([worker.gradient.remote(weights) for worker in workers]), axis=0)
    if step % 50 == 49:
        part = kept.with_suffix(".part.npy")
        np.save(part, np.append(weights, step + 1))
        part.rename(kept)
output = Path(os.environ["PLIMSOLL_OUTPUT"])
np.save(output / "weights.npy", weights)
whole, _ = points(0, 1)
predicted = 1 / (1 + np.exp(-(whole @ weights[:-1] + weights[-1])))
(output / "metrics.json").write_text(json.dumps({"accuracy": accuracy(predicted), "workers": SIZE, "nodes": nodes}))
