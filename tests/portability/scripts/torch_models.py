import io
import sys

import torch
from saving import refused, save
from torch import nn

out = sys.argv[1]
torch.manual_seed(0)


def export(name, model, x, output="y"):
    model.eval()
    file = io.BytesIO()
    with torch.no_grad():
        y = model(x)
    torch.onnx.export(
        model,
        x,
        file,
        input_names=["x"],
        output_names=[output],
        opset_version=16,
        dynamic_axes={"x": {0: "rows"}, output: {0: "rows"}},
    )
    save(f"{out}/{name}", file.getvalue(), {"x": x.numpy()}, {output: y.numpy()})


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm, self.head = nn.LSTM(4, 8, batch_first=True), nn.Linear(8, 2)

    def forward(self, x):
        return self.head(self.lstm(x)[0][:, -1])


class Sampling(nn.Module):
    def forward(self, x):
        return torch.linalg.eigvals(x @ x.T).real


export(
    "layers",
    nn.Sequential(nn.Linear(6, 16), nn.GELU(), nn.LayerNorm(16), nn.Linear(16, 3), nn.Softmax(dim=1)),
    torch.randn(20, 6),
)
export(
    "images",
    nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(8, 5),
    ),
    torch.randn(4, 3, 32, 32),
)
export("recurrent", Recurrent(), torch.randn(5, 7, 4))
refused(
    out,
    "an operator without an ONNX form (torch.linalg.eigvals)",
    lambda: torch.onnx.export(Sampling(), torch.randn(3, 3), io.BytesIO(), opset_version=16),
)
