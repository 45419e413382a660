"""A network of TFLite as nodes of ONNX, operation by operation; what is not among its six operations is refused.

TFLite has images as rows, columns, channels, and ONNX has channels first: each convolution is between two
transpositions, which ONNX Runtime takes away where one undoes the other.
"""

from __future__ import annotations

import numpy as np
import onnx
import tflite
from onnx import helper, numpy_helper

NAMES = {value: name for name, value in vars(tflite.BuiltinOperator).items() if isinstance(value, int)}
TYPES = {0: np.float32, 1: np.float16, 2: np.int32}
PADDING = {tflite.Padding.SAME: "SAME_UPPER", tflite.Padding.VALID: "VALID"}
RELU6 = 3
FIRST, LAST = [0, 3, 1, 2], [0, 2, 3, 1]


class Converted:
    """The nodes and weights of a network; `inputs` and `outputs` are the names of their ends."""

    def __init__(self, content: bytes) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []
        self._model = tflite.Model.GetRootAsModel(content, 0)
        self._graph = self._model.Subgraphs(0)
        self._constants: dict[int, np.ndarray] = {}
        self.inputs = [self._name(int(each)) for each in self._graph.InputsAsNumpy()]
        self.outputs = [self._name(int(each)) for each in self._graph.OutputsAsNumpy()]
        for number in range(self._graph.OperatorsLength()):
            self._convert(self._graph.Operators(number))

    def _convert(self, operator: tflite.Operator) -> None:
        name = NAMES[self._model.OperatorCodes(operator.OpcodeIndex()).BuiltinCode()]
        inputs = [int(each) for each in operator.InputsAsNumpy()]
        output = int(operator.OutputsAsNumpy()[0])
        match name:
            case "DEQUANTIZE":
                self._constants[output] = self._constant(inputs[0]).astype(np.float32)
            case "CONV_2D":
                options = _options(operator, tflite.Conv2DOptions())
                kernel = self._constant(inputs[1]).transpose(0, 3, 1, 2)
                self._convolution(inputs, output, kernel, options, 1)
            case "DEPTHWISE_CONV_2D":
                options = _options(operator, tflite.DepthwiseConv2DOptions())
                kernel = self._constant(inputs[1]).transpose(3, 0, 1, 2)
                self._convolution(inputs, output, kernel, options, kernel.shape[0])
            case "ADD":
                self._node("Add", [self._name(each) for each in inputs], output)
            case "RESHAPE":
                shape = self._weight(f"{self._name(output)}/shape", self._constant(inputs[1]).astype(np.int64))
                self._node("Reshape", [self._name(inputs[0]), shape], output)
            case "CONCATENATION":
                options = _options(operator, tflite.ConcatenationOptions())
                self._node("Concat", [self._name(each) for each in inputs], output, axis=options.Axis())
            case _:
                raise SystemExit(f"the network has an operation {name}, which nobody has taught this converter")

    def _convolution(
        self,
        inputs: list[int],
        output: int,
        kernel: np.ndarray,
        options: tflite.Conv2DOptions | tflite.DepthwiseConv2DOptions,
        groups: int,
    ) -> None:
        name = self._name(output)
        given = [
            f"{name}/first",
            self._weight(f"{name}/kernel", kernel),
            self._weight(f"{name}/bias", self._constant(inputs[2])),
        ]
        strides = [options.StrideH(), options.StrideW()]
        self.nodes += [
            helper.make_node("Transpose", [self._name(inputs[0])], given[:1], perm=FIRST),
            helper.make_node(
                "Conv", given, [f"{name}/sum"], strides=strides, group=groups, auto_pad=PADDING[options.Padding()]
            ),
        ]
        ended = f"{name}/sum"
        if options.FusedActivationFunction() == RELU6:
            ended = f"{name}/bounded"
            ends = [self._weight(f"{name}/{end:.0f}", np.float32(end)) for end in (0.0, 6.0)]
            self.nodes.append(helper.make_node("Clip", [f"{name}/sum", *ends], [ended]))
        self.nodes.append(helper.make_node("Transpose", [ended], [name], perm=LAST))

    def _node(self, kind: str, inputs: list[str], output: int, **settings: object) -> None:
        self.nodes.append(helper.make_node(kind, inputs, [self._name(output)], **settings))

    def _weight(self, name: str, values: np.ndarray | np.float32) -> str:
        self.weights.append(numpy_helper.from_array(np.ascontiguousarray(values).reshape(np.shape(values)), name))
        return name

    def _constant(self, number: int) -> np.ndarray:
        if number in self._constants:
            return self._constants[number]
        tensor = self._graph.Tensors(number)
        content = self._model.Buffers(tensor.Buffer()).DataAsNumpy().tobytes()
        return np.frombuffer(content, TYPES[tensor.Type()]).reshape(tensor.ShapeAsNumpy())

    def _name(self, number: int) -> str:
        return f"{number}:{self._graph.Tensors(number).Name().decode()}"


def _options(
    operator: tflite.Operator, kind: tflite.Conv2DOptions | tflite.DepthwiseConv2DOptions | tflite.ConcatenationOptions
) -> tflite.Conv2DOptions:
    table = operator.BuiltinOptions()
    kind.Init(table.Bytes, table.Pos)
    return kind
