"""Train a LoRA with all workers together: each has other questions of a step, and the gradient is that of all of them.

Every worker runs this script. JAX's coordinator is found by the variables of its launcher; checkpoints make a new start
go on where the last one ended, with the same result.
"""

import json
import os
import time
from pathlib import Path

# One thread for each worker: on cores that are shared, more are slower, and the order of sums stays the same.
os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false --xla_cpu_collective_timeout_seconds=600"
os.environ.setdefault("JAX_PLATFORMS", "cpu")

import jax
import numpy as np

RANK, WORKERS = int(os.environ.get("JAX_PROCESS_ID", "0")), int(os.environ.get("JAX_NUM_PROCESSES", "1"))
if WORKERS > 1:
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    jax.distributed.initialize(num_processes=WORKERS, process_id=RANK)

import jax.numpy as jnp
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from llama import Llama
from tokens import Tokens

STEPS, LORA_RANK = int(os.environ["PLIMSOLL_PARAM_STEPS"]), int(os.environ["PLIMSOLL_PARAM_RANK"])
LAYERS, RATE = int(os.environ["PLIMSOLL_PARAM_LAYERS"]), float(os.environ["PLIMSOLL_PARAM_RATE"])
LENGTH = int(os.environ["PLIMSOLL_PARAM_TOKENS"])
ANSWER = 64  # tokens of an answer that count
VALIDATION = 6  # questions that are only watched
SEGMENT = 10  # steps between two checkpoints
ALPHA = 2.0 * LORA_RANK
WARM_UP = 5


def main():
    checkpoints, output = Path(os.environ["PLIMSOLL_CHECKPOINT"]), Path(os.environ["PLIMSOLL_OUTPUT"])
    (path,) = Path(os.environ["PLIMSOLL_BASE"]).glob("*.gguf")
    lines = (Path(os.environ["PLIMSOLL_INPUT_PAIRS"]) / "pairs.jsonl").read_text(encoding="utf-8").splitlines()
    model = Llama(path, LAYERS)
    rows = encoded(Tokens(str(path)), model.end, map(json.loads, lines))
    if len(rows) < 4 * WORKERS:
        raise SystemExit(f"{len(rows)} of {len(lines)} questions fit in {LENGTH} tokens: raise the parameter tokens")
    count = max(WORKERS, min(VALIDATION, len(rows) // 4))
    watched, learnt = rows[:count], rows[count:]
    print(f"worker {RANK} of {WORKERS}: {len(rows)} of {len(lines)} questions fit in {LENGTH} tokens", flush=True)
    mesh = Mesh(np.array(jax.devices()), ("worker",))
    same, shared = NamedSharding(mesh, PartitionSpec()), NamedSharding(mesh, PartitionSpec("worker"))

    def everywhere(tree):
        return jax.tree.map(lambda each: jax.make_array_from_process_local_data(same, np.asarray(each)), tree)

    def spread(mine):
        return tuple(jax.make_array_from_process_local_data(shared, np.stack(each)) for each in zip(*mine, strict=True))

    weights = everywhere(model.weights)

    def loss(lora, weights, tokens, places, answers):
        logits = model.logits(weights, lora, tokens, places, ALPHA / LORA_RANK)
        counted = answers >= 0
        of_answer = jnp.take_along_axis(jax.nn.log_softmax(logits), jnp.maximum(answers, 0)[..., None], -1)[..., 0]
        return -jnp.sum(of_answer * counted) / jnp.sum(counted)

    @jax.jit
    def step(state, weights, *batch):
        value, gradient = jax.value_and_grad(loss)(state["lora"], weights, *batch)
        return value, jax.lax.with_sharding_constraint(adam(state, gradient), same)

    judge = jax.jit(loss)

    def judged(lora):
        """The loss on the watched questions; each worker judges its share, as often as the largest share has rows."""
        batches = [watched[at : at + WORKERS] for at in range(0, len(watched) // WORKERS * WORKERS, WORKERS)]
        return float(np.mean([float(judge(lora, weights, *spread([batch[RANK]]))) for batch in batches]))

    state, curve = resumed(checkpoints, model)
    state = everywhere(state)
    done = int(state["step"].addressable_data(0))
    if done == 0:
        curve = [{"step": 0, "validation": judged(state["lora"])}]
    draw = np.random.default_rng(7)
    order = np.concatenate([draw.permutation(len(learnt)) for _ in range(1 + STEPS * WORKERS // len(learnt))])
    begin = time.monotonic()
    for at in range(done, STEPS):
        mine = learnt[order[at * WORKERS + RANK]]
        value, state = step(state, weights, *spread([mine]))
        curve.append({"step": at + 1, "train": float(value)})
        if (at + 1) % SEGMENT == 0 or at + 1 == STEPS:
            curve[-1]["validation"] = judged(state["lora"])
            if RANK == 0:
                keep(checkpoints, state, curve)
                write_curve(output, curve)
                pace = (time.monotonic() - begin) / (at + 1 - done)
                print(f"[{at + 1}] {json.dumps(curve[-1])}, {pace:.2f} s a step", flush=True)
            # Nobody goes on before worker 0 has kept what they have done together.
            multihost_utils.sync_global_devices(f"step {at + 1}") if WORKERS > 1 else None
    if RANK == 0:
        lora = jax.tree.map(lambda each: np.asarray(each.addressable_data(0)), state["lora"])
        model.write_adapter(lora, ALPHA, output / "adapter.gguf")
        write_curve(output, curve)
        told = {"validation": curve[-1]["validation"], "validation_before": curve[0]["validation"],
                "train": curve[-1]["train"], "steps": STEPS, "workers": WORKERS, "questions": len(learnt)}
        (output / "metrics.json").write_text(json.dumps(told))
        print(json.dumps(told), flush=True)


def encoded(tokens, end, pairs):
    """Of each pair that fits: all tokens, the places before those of the answer, and the answer's; -1 is none."""
    rows = []
    for pair in pairs:
        prompt, answer = tokens.prompt(pair["messages"]), [*tokens.answer(pair["answer"]), end][:ANSWER]
        if len(prompt) + len(answer) > LENGTH:
            continue
        row = np.zeros(LENGTH, np.int32)
        row[: len(prompt) + len(answer)] = [*prompt, *answer]
        places = np.full(ANSWER, len(prompt) - 1, np.int32)
        places[: len(answer)] += np.arange(len(answer), dtype=np.int32)
        wanted = np.full(ANSWER, -1, np.int32)
        wanted[: len(answer)] = answer
        rows.append((row, places, wanted))
    return rows


def adam(state, gradient, decay=(0.9, 0.999), epsilon=1e-8):
    """One step of Adam, with gradients of a norm of 1 at most, a warm-up, and a rate that falls to a tenth."""
    norm = jnp.sqrt(sum(jnp.sum(each * each) for each in jax.tree.leaves(gradient)))
    gradient = jax.tree.map(lambda each: each / jnp.maximum(norm, 1.0), gradient)
    count = state["step"] + 1
    first = jax.tree.map(lambda m, g: decay[0] * m + (1 - decay[0]) * g, state["first"], gradient)
    second = jax.tree.map(lambda v, g: decay[1] * v + (1 - decay[1]) * g * g, state["second"], gradient)
    part = count.astype(jnp.float32)
    rate = RATE * jnp.minimum(1.0, part / WARM_UP) * (0.1 + 0.45 * (1 + jnp.cos(jnp.pi * part / STEPS)))

    def moved(weight, m, v):
        return weight - rate * (m / (1 - decay[0] ** part)) / (jnp.sqrt(v / (1 - decay[1] ** part)) + epsilon)

    return {"lora": jax.tree.map(moved, state["lora"], first, second), "first": first, "second": second, "step": count}


def resumed(checkpoints, model):
    """Where to go on. Worker 0's checkpoints count, and the other workers may be on other machines."""
    lora = model.lora(LORA_RANK)
    zeros = jax.tree.map(np.zeros_like, lora)
    state = {"lora": lora, "first": zeros, "second": zeros, "step": np.int32(0)}
    curve = []
    newest = max(checkpoints.glob("*.npz"), default=None)
    if newest is not None and RANK == 0:
        leaves, shape = jax.tree.flatten(state)
        with np.load(newest) as kept:
            state = jax.tree.unflatten(shape, [kept[str(number)] for number in range(len(leaves))])
        curve = json.loads(newest.with_suffix(".json").read_text())
    if WORKERS > 1:
        state = jax.tree.map(np.asarray, multihost_utils.broadcast_one_to_all(state))
    if int(state["step"]):
        print(f"worker {RANK}: going on after step {int(state['step'])}", flush=True)
    return state, curve


def keep(checkpoints, state, curve):
    """The state and its curve, under their names only when they are whole; the ones before are no longer needed."""
    done = int(state["step"].addressable_data(0))
    older = [path for path in checkpoints.iterdir() if path.suffix in (".npz", ".json")]
    arrays = {str(number): np.asarray(each.addressable_data(0)) for number, each in enumerate(jax.tree.leaves(state))}
    for name, write in (
        (f"{done:06d}.json", lambda file: file.write(json.dumps(curve).encode())),
        (f"{done:06d}.npz", lambda file: np.savez(file, **arrays)),
    ):
        temporary = checkpoints / f".{name}"
        with temporary.open("wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        temporary.rename(checkpoints / name)
    for path in older:
        path.unlink(missing_ok=True)


def write_curve(output, curve):
    temporary = output / ".metrics.jsonl"
    temporary.write_text("".join(json.dumps(each) + "\n" for each in curve))
    temporary.rename(output / "metrics.jsonl")


if __name__ == "__main__":
    main()
