"""Runs in an interpreter with tritonclient: calls a server over HTTP and gRPC like its users, prints the results."""

import json
import sys

import numpy as np
import tritonclient.grpc as triton_grpc
import tritonclient.http as triton_http
from tritonclient.utils import InferenceServerException

url, grpc_url = sys.argv[1:]
data = np.array([[3, 1], [1, 1]], dtype=np.float32)
seen = {}
for name, client, kind in (
    ("http", triton_http.InferenceServerClient(url), triton_http),
    ("grpc", triton_grpc.InferenceServerClient(grpc_url), triton_grpc),
):
    tensor = kind.InferInput("x", list(data.shape), "FP32")
    tensor.set_data_from_numpy(data)
    got = client.infer("m", [tensor], outputs=[kind.InferRequestedOutput("score")], request_id="5")
    everything = client.infer("m", [tensor])
    try:
        client.infer("other", [tensor])
        refused = ""
    except InferenceServerException as error:
        refused = str(error)
    index = client.get_model_repository_index()
    client.unload_model("m")
    gone = client.is_model_ready("m")
    client.load_model("m")
    metadata = client.get_model_metadata("m")
    seen[name] = {
        "live": client.is_server_live(),
        "ready": client.is_server_ready(),
        "model": client.is_model_ready("m"),
        "gone": gone,
        "score": got.as_numpy("score").tolist(),
        "label": everything.as_numpy("label").tolist(),
        "refused": "no model 'other'" in refused,
        "index": len(index if isinstance(index, list) else index.models),
        "inputs": len(metadata["inputs"] if isinstance(metadata, dict) else metadata.inputs),
    }
print(json.dumps(seen))
