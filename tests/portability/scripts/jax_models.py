import sys

import jax
import jax.numpy as jnp
import numpy as np
from jax2onnx import to_onnx
from saving import refused, save

out = sys.argv[1]
keys = jax.random.split(jax.random.PRNGKey(0), 4)
first, second = jax.random.normal(keys[0], (6, 16)), jax.random.normal(keys[1], (16, 3))
kernel = jax.random.normal(keys[2], (3, 3, 3, 4))


def layers(x):
    return jax.nn.softmax(jnp.tanh(x @ first) @ second, axis=-1)


def images(x):
    convolved = jax.lax.conv_general_dilated(x, kernel, (2, 2), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))
    return jax.nn.relu(convolved).mean(axis=(1, 2))


def called_back(x):
    return jax.pure_callback(lambda a: np.sort(a, axis=1), jax.ShapeDtypeStruct(x.shape, x.dtype), x)


for name, function, shape in (("layers", layers, (20, 6)), ("images", images, (4, 16, 16, 3))):
    x = jax.random.normal(keys[3], shape)
    model = to_onnx(function, [("rows", *shape[1:])])
    source, target = model.graph.input[0].name, model.graph.output[0].name
    save(f"{out}/{name}", model.SerializeToString(), {source: np.asarray(x)}, {target: np.asarray(function(x))})

refused(out, "a call back into Python (jax.pure_callback)", lambda: to_onnx(called_back, [(4, 6)]))
