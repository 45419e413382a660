import os
import sys
import tempfile

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["CUDA_VISIBLE_DEVICES"] = ""

import numpy as np
import onnx
import tensorflow as tf
from saving import refused, save

out = sys.argv[1]
tf.keras.utils.set_random_seed(0)
x = np.random.default_rng(0).normal(size=(20, 6)).astype(np.float32)


def converted(directory):
    """A SavedModel by tf2onnx's command line, as its own page says."""
    import subprocess

    target = f"{directory}.onnx"
    argv = [sys.executable, "-m", "tf2onnx.convert", "--saved-model", directory, "--output", target, "--opset", "17"]
    told = subprocess.run(argv, capture_output=True, text=True)
    if told.returncode:
        raise RuntimeError(told.stderr.strip().splitlines()[-1])
    with open(target, "rb") as file:
        return file.read()


def saved(module, signature):
    directory = tempfile.mkdtemp()
    tf.saved_model.save(module, directory, signatures=signature)
    return directory


def approximate_gelu(x):
    return tf.nn.gelu(x, approximate=True)


layers = tf.keras.Sequential(
    [tf.keras.Input((6,)), tf.keras.layers.Dense(16, activation=approximate_gelu), tf.keras.layers.Dense(3, activation="softmax")]
)
images = tf.keras.Sequential(
    [
        tf.keras.Input((16, 16, 3)),
        tf.keras.layers.Conv2D(4, 3, strides=2, activation="relu"),
        tf.keras.layers.GlobalAveragePooling2D(),
        tf.keras.layers.Dense(5),
    ]
)
for name, model, rows in (
    ("layers", layers, x),
    ("images", images, np.random.default_rng(1).normal(size=(4, 16, 16, 3)).astype(np.float32)),
):
    specification = tf.TensorSpec((None, *rows.shape[1:]), tf.float32, name="x")
    function = tf.function(lambda x, model=model: {"y": model(x)}, input_signature=[specification])
    save(f"{out}/{name}", converted(saved(model, function)), {"x": rows}, {"y": model(rows).numpy()})


class Words(tf.Module):
    @tf.function(input_signature=[tf.TensorSpec((None,), tf.string, name="x")])
    def look(self, x):
        return {"y": tf.strings.regex_replace(x, "[0-9]+", "#")}


def checked(content):
    """tf2onnx leaves what it does not know in the file; ONNX itself then refuses it."""
    onnx.checker.check_model(onnx.load_from_string(content))


class Exact(tf.Module):
    @tf.function(input_signature=[tf.TensorSpec((None, 6), tf.float32, name="x")])
    def gelu(self, x):
        return {"y": tf.nn.gelu(x, approximate=False)}


exact = Exact()
refused(out, "exact GELU (tf.math.erfc)", lambda: checked(converted(saved(exact, exact.gelu))))
words = Words()
refused(out, "text operators (tf.strings.regex_replace)", lambda: checked(converted(saved(words, words.look))))
