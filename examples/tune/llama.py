"""A Llama from a GGUF file as a function of JAX, with a LoRA on its last layers; and the LoRA as a GGUF adapter.

The weights are as the file has them: llama.cpp turns pairs of neighbours (`normal` RoPE), so the matrices of queries
and keys need no change of order, neither here nor in the adapter.
"""

import gguf
import jax
import jax.numpy as jnp
import numpy as np

MATRICES = ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down")


class Llama:
    """The sizes and the weights of a model, stacked: of the lower layers, and of the last `trained` ones."""

    def __init__(self, path, trained):
        reader = gguf.GGUFReader(path)
        self.fields = dict(reader.fields)
        if self._of("general.architecture") != "llama":
            raise SystemExit(f"{path} is of the architecture {self._of('general.architecture')}; this trains llama")
        self.blocks = int(self._of("llama.block_count"))
        self.heads = int(self._of("llama.attention.head_count"))
        self.groups = int(self._of("llama.attention.head_count_kv", self.heads))
        self.epsilon = float(self._of("llama.attention.layer_norm_rms_epsilon"))
        self.end = int(self._of("tokenizer.ggml.eos_token_id"))
        base = float(self._of("llama.rope.freq_base", 10000.0))
        tensors = {each.name: gguf.dequantize(each.data, each.tensor_type) for each in reader.tensors}
        self.size = tensors["token_embd.weight"].shape[1]
        self.width = self.size // self.heads
        self.turns = base ** (-np.arange(0, self.width, 2, dtype=np.float32) / self.width)
        self.first = max(0, self.blocks - trained)
        self.weights = {
            "embedding": tensors["token_embd.weight"],
            "norm": tensors["output_norm.weight"],
            "output": tensors.get("output.weight", tensors["token_embd.weight"]),
            "lower": self._stacked(tensors, range(self.first)),
            "upper": self._stacked(tensors, range(self.first, self.blocks)),
        }

    @staticmethod
    def _stacked(tensors, blocks):
        names = ("attn_norm", "ffn_norm", *MATRICES) if blocks else ()
        return {name: np.stack([tensors[f"blk.{block}.{name}.weight"] for block in blocks]) for name in names}

    def _of(self, name, default=None):
        return self.fields[name].contents() if name in self.fields else default

    def lora(self, rank, seed=7):
        """A change of the last layers that changes nothing yet: the second factor is zero."""
        draw = np.random.default_rng(seed)
        made = {}
        for name in MATRICES:
            layers, out, into = self.weights["upper"][name].shape
            first = draw.normal(0, into**-0.5, (layers, rank, into)).astype(np.float32)
            made[name] = {"a": first, "b": np.zeros((layers, out, rank), np.float32)}
        return made

    def logits(self, weights, lora, tokens, places, scale):
        """What comes after each of `places` of each row of tokens."""
        x = weights["embedding"][tokens]
        # Nothing below the first trained layer depends on the change, so no gradient goes there.
        if weights["lower"]:
            x, _ = jax.lax.scan(lambda x, layer: (self._block(x, layer, None, scale), None), x, weights["lower"])
        x, _ = jax.lax.scan(lambda x, both: (self._block(x, *both, scale), None), x, (weights["upper"], lora))
        x = jnp.take_along_axis(x, places[..., None], axis=1)
        return self._normal(x, weights["norm"]) @ weights["output"].T

    def _block(self, x, layer, lora, scale):
        def apply(name, x):
            y = x @ layer[name].T
            return y if lora is None else y + (x @ lora[name]["a"].T) @ lora[name]["b"].T * scale

        rows, length, _ = x.shape
        h = self._normal(x, layer["attn_norm"])
        q = self._turned(apply("attn_q", h).reshape(rows, length, self.heads, -1))
        k = self._turned(apply("attn_k", h).reshape(rows, length, self.groups, -1))
        v = apply("attn_v", h).reshape(rows, length, self.groups, -1)
        q = q.reshape(rows, length, self.groups, self.heads // self.groups, -1)
        scores = jnp.einsum("btghd,bsgd->bghts", q, k) * self.width**-0.5
        scores = jnp.where(jnp.tril(jnp.ones((length, length), bool)), scores, -1e30)
        seen = jnp.einsum("bghts,bsgd->btghd", jax.nn.softmax(scores, axis=-1), v).reshape(rows, length, -1)
        x = x + apply("attn_output", seen)
        h = self._normal(x, layer["ffn_norm"])
        return x + apply("ffn_down", jax.nn.silu(apply("ffn_gate", h)) * apply("ffn_up", h))

    def _normal(self, x, weight):
        return x * jax.lax.rsqrt(jnp.mean(x * x, axis=-1, keepdims=True) + self.epsilon) * weight

    def _turned(self, x):
        """Rotary positions: each pair of neighbours is turned by an angle that grows with its place."""
        angles = jnp.arange(x.shape[1])[:, None] * self.turns
        cos, sin = jnp.cos(angles)[:, None], jnp.sin(angles)[:, None]
        even, odd = x[..., 0::2], x[..., 1::2]
        return jnp.stack([even * cos - odd * sin, even * sin + odd * cos], axis=-1).reshape(x.shape)

    def write_adapter(self, lora, alpha, path):
        """The change as an adapter that llama.cpp applies."""
        writer = gguf.GGUFWriter(path, "llama")
        writer.add_type(gguf.GGUFType.ADAPTER)
        writer.add_string(gguf.Keys.Adapter.TYPE, "lora")
        writer.add_float32(gguf.Keys.Adapter.LORA_ALPHA, float(alpha))
        for name, pair in sorted(lora.items()):
            for place in range(len(pair["a"])):
                for factor in ("a", "b"):
                    called = f"blk.{self.first + place}.{name}.weight.lora_{factor}"
                    writer.add_tensor(called, np.ascontiguousarray(pair[factor][place], np.float32))
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
