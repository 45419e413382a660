"""Make the detector: the SSD of npm's objectron package as ONNX, from the bytes of an image to cars with scores.

What the network leaves to its caller is in the model too: levels of brightness from -1 to 1, boxes beside anchors, and
of boxes that overlap the best one. `difference` is how far the scores are from those of TFLite's own runtime.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from ai_edge_litert.interpreter import Interpreter
from lite import Converted
from onnx import TensorProto, helper, numpy_helper

BEGIN, END = 184, 9_987_912  # of the network among the packed files, as the package's loader says
SIDE = 300
LABELS = {"cars": 23, "people": 4}  # lines of the label map, which is bytes 0 to 184
MOST = 16
FLOOR = 0.1  # of scores that anybody is told
OVERLAP = 0.5
MAPS = (19, 10, 5, 3, 2, 1)
SMALLEST, LARGEST = 0.2, 0.95


def main() -> None:
    packed = Path(os.environ["PLIMSOLL_INPUT_OBJECTRON"]).read_bytes()
    frames = np.fromfile(Path(os.environ["PLIMSOLL_INPUT_FRAMES"]) / "frames.rgb", np.uint8)
    network = packed[BEGIN:END]
    model = onnx.shape_inference.infer_shapes(detector(Converted(network)))
    onnx.checker.check_model(model)
    output = Path(os.environ["PLIMSOLL_OUTPUT"])
    onnx.save(model, output / "model.onnx")
    difference = far_from(network, model, frames.reshape(-1, 1, SIDE, SIDE, 3)[::10])
    (output / "metrics.json").write_text(json.dumps({"difference": difference}))


def anchors() -> np.ndarray:
    """The boxes that the network moves: centre and size as shares of the image. Source: SSD, section 2.2."""
    found = []
    for level, side in enumerate(MAPS):
        scale, following = (SMALLEST + (LARGEST - SMALLEST) * each / (len(MAPS) - 1) for each in (level, level + 1))
        if level == 0:
            boxes = [(1.0, 0.1), (2.0, scale), (0.5, scale)]
        else:
            between = (scale * (1.0 if level == len(MAPS) - 1 else following)) ** 0.5
            boxes = [*((ratio, scale) for ratio in (1.0, 2.0, 0.5, 3.0, 0.3333)), (1.0, between)]
        for row in range(side):
            for column in range(side):
                for ratio, size in boxes:
                    centre = ((row + 0.5) / side, (column + 0.5) / side)
                    found.append((*centre, size / ratio**0.5, size * ratio**0.5))
    return np.array(found, np.float32)


def detector(network: Converted) -> onnx.ModelProto:
    boxes, classes = network.outputs
    weights: list[onnx.TensorProto] = list(network.weights)
    nodes: list[onnx.NodeProto] = []

    def weight(name: str, values: object, kind: type = np.float32) -> str:
        weights.append(numpy_helper.from_array(np.asarray(values, kind), name))
        return name

    def node(kind: str, inputs: list[str], *outputs: str, **settings: object) -> str:
        nodes.append(helper.make_node(kind, inputs, list(outputs), **settings))
        return outputs[0]

    node("Cast", ["image"], "levels", to=TensorProto.FLOAT)
    node("Div", ["levels", weight("half", 127.5)], "scaled")
    node("Sub", ["scaled", weight("one", 1.0)], network.inputs[0])
    nodes += network.nodes
    places = anchors()
    node("Split", [boxes, weight("halves", [2, 2], np.int64)], "moves", "growths", axis=2)
    node("Mul", ["moves", weight("reach", places[:, 2:] / 10)], "moved")
    node("Add", ["moved", weight("centres", places[:, :2])], "centre")
    node("Div", ["growths", weight("slowness", 5.0)], "slow")
    node("Exp", ["slow"], "grown")
    node("Mul", ["grown", weight("reaches", places[:, 2:] / 2)], "radius")
    node("Sub", ["centre", "radius"], "begins")
    node("Add", ["centre", "radius"], "ends")
    node("Concat", ["begins", "ends"], "all_boxes", axis=2)
    node("Sigmoid", [classes], "probabilities")
    node("Transpose", ["probabilities"], "by_class", perm=[0, 2, 1])
    limits = [
        weight("most", [MOST], np.int64),
        weight("overlap", [OVERLAP]),
        weight("floor", [FLOOR]),
    ]
    outputs = []
    for name, number in LABELS.items():
        node("Gather", ["by_class", weight(f"{name}/class", [number], np.int64)], f"{name}/all", axis=1)
        # Indices are image, class and box; a mask of those that are left keeps the shape the same for every image.
        node("NonMaxSuppression", ["all_boxes", f"{name}/all", *limits], f"{name}/left")
        node("Shape", [f"{name}/all"], f"{name}/shape")
        node("ConstantOfShape", [f"{name}/shape"], f"{name}/none")
        node("Gather", [f"{name}/left", weight(f"{name}/zero", 0, np.int64)], f"{name}/images", axis=1)
        node("Shape", [f"{name}/images"], f"{name}/count")
        ones = numpy_helper.from_array(np.ones(1, np.float32))
        node("ConstantOfShape", [f"{name}/count"], f"{name}/ones", value=ones)
        node("ScatterND", [f"{name}/none", f"{name}/left", f"{name}/ones"], f"{name}/mask")
        node("Mul", [f"{name}/all", f"{name}/mask"], f"{name}/kept")
        node("Squeeze", [f"{name}/kept", weight(f"{name}/axis", [1], np.int64)], f"{name}/flat")
        node("TopK", [f"{name}/flat", "most"], name, f"{name}/best")
        outputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, MOST]))
    node("Squeeze", ["all_boxes", weight("batch", [0], np.int64)], "flat_boxes")
    node("Gather", ["flat_boxes", "cars/best"], "boxes", axis=0)
    outputs.append(helper.make_tensor_value_info("boxes", TensorProto.FLOAT, [1, MOST, 4]))
    image = helper.make_tensor_value_info("image", TensorProto.UINT8, [1, SIDE, SIDE, 3])
    graph = helper.make_graph(nodes, "detector", [image], outputs, weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def far_from(network: bytes, model: onnx.ModelProto, images: np.ndarray) -> float:
    """The largest difference of a score of a class, of all boxes of some images."""
    theirs = Interpreter(model_content=network)
    theirs.allocate_tensors()
    place = theirs.get_input_details()[0]["index"]
    scores = theirs.get_output_details()[1]["index"]
    ours = onnx.ModelProto()
    ours.CopyFrom(model)
    del ours.graph.output[:]
    ours.graph.output.append(helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, None))
    session = onnxruntime.InferenceSession(ours.SerializeToString())
    largest = 0.0
    for image in images:
        theirs.set_tensor(place, image.astype(np.float32) / 127.5 - 1)
        theirs.invoke()
        expected = 1 / (1 + np.exp(-theirs.get_tensor(scores)))
        (found,) = session.run(None, {"image": image})
        largest = max(largest, float(np.abs(found - expected).max()))
    return largest


if __name__ == "__main__":
    main()
