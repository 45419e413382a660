"""ONNX Runtime and nothing else: `bare_loop.py MODEL SECONDS SHAPE…` prints runs and seconds, after a first run."""

import sys
import time

import numpy as np
import onnxruntime

path, seconds, *shape = sys.argv[1:]
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
options.inter_op_num_threads = 1
session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
feed = {session.get_inputs()[0].name: np.zeros([int(size) for size in shape], dtype=np.float32)}
session.run(None, feed)
runs, began = 0, time.perf_counter()
while time.perf_counter() - began < float(seconds):
    session.run(None, feed)
    runs += 1
print(runs, time.perf_counter() - began)
