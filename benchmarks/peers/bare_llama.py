"""llama.cpp's own server by itself: bare_llama.py MODEL PORT CONTEXT SLOTS THREADS TOKENS."""

import sys
import time

import xllamacpp

model, port, context, slots, threads, tokens = sys.argv[1], *map(int, sys.argv[2:])
params = xllamacpp.CommonParams()
params.model.path = model
params.n_parallel = slots
params.n_ctx = context * slots
params.n_predict = tokens
params.fit_params = False
params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
params.n_threads_http = slots + 2
params.hostnames, params.port = ["127.0.0.1"], port
params.ui, params.verbosity = False, 1
params.cache_ram_mib = 256
server = xllamacpp.Server(params)
while True:
    time.sleep(60)
