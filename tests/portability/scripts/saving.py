"""What every conversion leaves: the model, inputs by name, and what the original says to them."""

import json
from pathlib import Path

import numpy as np


def save(directory, onnx_bytes, inputs, outputs):
    """`outputs` may leave out some of the converted model's; names are the converted model's own."""
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "model.onnx").write_bytes(onnx_bytes)
    for kind, arrays in (("inputs", inputs), ("outputs", outputs)):
        plain = {}
        for name, array in arrays.items():
            array = np.asarray(array)
            plain[name] = {
                "shape": list(array.shape),
                "dtype": str(array.dtype) if array.dtype.kind != "U" else "object",
                "data": array.ravel().tolist(),
            }
        (directory / f"{kind}.json").write_text(json.dumps(plain))


def refused(directory, what, convert):
    """Try a conversion that is known not to work, and keep its reason; fails when it works after all."""
    try:
        convert()
    except Exception as error:
        path = Path(directory) / "refused.json"
        known = json.loads(path.read_text()) if path.exists() else {}
        known[what] = f"{type(error).__name__}: {error}"[:300]
        path.write_text(json.dumps(known))
    else:
        raise SystemExit(f"{what} can be converted by now: say so in docs/portability.md")
