import io
import sys
import tempfile

import torch
from saving import save
from transformers import (
    AutoModelForSequenceClassification,
    BertConfig,
    BertForSequenceClassification,
    ViTConfig,
    ViTForImageClassification,
    AutoModelForImageClassification,
)

out = sys.argv[1]
torch.manual_seed(0)
small = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}


def reloaded(model, kind):
    """As from a hub: saved to a directory and loaded by the architecture that its config names."""
    directory = tempfile.mkdtemp()
    model.save_pretrained(directory)
    return kind.from_pretrained(directory).eval()


def export(name, model, inputs):
    file = io.BytesIO()
    with torch.no_grad():
        logits = model(**inputs).logits
    axes = {key: {0: "rows", **({1: "words"} if value.ndim == 2 else {})} for key, value in inputs.items()}
    torch.onnx.export(
        model,
        (inputs,),
        file,
        input_names=list(inputs),
        output_names=["logits"],
        opset_version=16,
        dynamic_axes={**axes, "logits": {0: "rows"}},
    )
    save(
        f"{out}/{name}",
        file.getvalue(),
        {key: value.numpy() for key, value in inputs.items()},
        {"logits": logits.numpy()},
    )


text = reloaded(
    BertForSequenceClassification(BertConfig(vocab_size=500, num_labels=3, **small)), AutoModelForSequenceClassification
)
words = torch.randint(1, 500, (6, 12))
mask = (torch.rand(6, 12) > 0.2).long()
mask[:, 0] = 1
export("text", text, {"input_ids": words, "attention_mask": mask})

image = reloaded(
    ViTForImageClassification(ViTConfig(image_size=32, patch_size=8, num_labels=4, **small)),
    AutoModelForImageClassification,
)
export("images", image, {"pixel_values": torch.randn(2, 3, 32, 32)})
