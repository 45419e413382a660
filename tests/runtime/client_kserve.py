"""Runs in an interpreter with kserve: calls a server over REST and gRPC like its users, and prints the results."""

import asyncio
import json
import sys

import numpy as np
from kserve import InferenceGRPCClient, InferenceRESTClient, InferInput, InferRequest, RESTConfig

url, grpc_url = sys.argv[1:]


def request(binary):
    tensor = InferInput("x", [2, 2], "FP32")
    tensor.set_data_from_numpy(np.array([[3, 1], [1, 1]], dtype=np.float32), binary_data=binary)
    return InferRequest(model_name="m", infer_inputs=[tensor], request_id="5")


async def main():
    rest = InferenceRESTClient(RESTConfig(protocol="v2", timeout=30))
    grpc = InferenceGRPCClient(grpc_url)
    seen = {
        "rest": [
            (await rest.infer(url, request(binary), model_name="m")).outputs[0].as_numpy().tolist()
            for binary in (False, True)
        ],
        "grpc": [(await grpc.infer(request(binary))).outputs[0].as_numpy().tolist() for binary in (False, True)],
        "ready": [await rest.is_server_ready(url), await grpc.is_server_ready()],
        "live": [await rest.is_server_live(url), await grpc.is_server_live()],
        "model": [await rest.is_model_ready(url, "m"), await grpc.is_model_ready("m")],
    }
    await grpc.close()
    print(json.dumps(seen))


asyncio.run(main())
