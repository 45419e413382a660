"""KServe's SDK server with one ONNX model: `python kserve_server.py MODEL PORT`."""

import sys

import numpy as np
import onnxruntime
from kserve import InferOutput, InferRequest, InferResponse, Model, ModelServer

path, port = sys.argv[1:]


class Onnx(Model):
    def __init__(self):
        super().__init__("m")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self.names = [output.name for output in self.session.get_outputs()]
        self.ready = True

    def load(self):
        return True

    def predict(self, payload, headers=None, response_headers=None):
        assert isinstance(payload, InferRequest)
        results = self.session.run(self.names, {tensor.name: tensor.as_numpy() for tensor in payload.inputs})
        outputs = []
        for name, array in zip(self.names, results, strict=True):
            output = InferOutput(name, list(array.shape), "FP32" if array.dtype == np.float32 else "INT64")
            output.set_data_from_numpy(array, binary_data=False)
            outputs.append(output)
        return InferResponse(response_id="", model_name="m", infer_outputs=outputs)


ModelServer(http_port=int(port), workers=1, enable_grpc=False, access_log_format=None).start([Onnx()])
