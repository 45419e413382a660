import hashlib
import json
import os
from pathlib import Path

import jax

jax.config.update("jax_platforms", "cpu")
jax.config.update("jax_cpu_collectives_implementation", "gloo")
jax.distributed.initialize(
    num_processes=int(os.environ["JAX_NUM_PROCESSES"]), process_id=int(os.environ["JAX_PROCESS_ID"])
)

import jax.numpy as jnp
import numpy as np
from data import accuracy, points
from jax.sharding import NamedSharding, PartitionSpec

rank, size = jax.process_index(), jax.process_count()
x, y = points(rank, size)
mesh = jax.make_mesh((size,), ("worker",))
shared = NamedSharding(mesh, PartitionSpec("worker"))
rows, labels = jax.make_array_from_process_local_data(shared, x), jax.make_array_from_process_local_data(shared, y)
same = NamedSharding(mesh, PartitionSpec())


def loss(weights, rows, labels):
    logits = rows @ weights[:-1] + weights[-1]
    return jnp.mean(jnp.logaddexp(0, logits) - labels * logits)


@jax.jit
def step(weights, rows, labels):
    return jax.lax.with_sharding_constraint(weights - 2.0 * jax.grad(loss)(weights, rows, labels), same)


weights = jax.device_put(jnp.zeros(5), same)
for _ in range(200):
    weights = step(weights, rows, labels)
mine = np.asarray(weights.addressable_data(0))
print("model", hashlib.sha256(mine.tobytes()).hexdigest(), flush=True)
if rank == 0:
    output = Path(os.environ["PLIMSOLL_OUTPUT"])
    whole, _ = points(0, 1)
    np.save(output / "weights.npy", mine)
    predicted = 1 / (1 + np.exp(-(whole @ mine[:-1] + mine[-1])))
    (output / "metrics.json").write_text(json.dumps({"accuracy": accuracy(predicted), "workers": size}))
