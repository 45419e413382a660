import hashlib
import json
import os
from pathlib import Path

import torch
import torch.distributed as dist
from data import accuracy, points

dist.init_process_group("gloo")
rank, size = dist.get_rank(), dist.get_world_size()
x, y = (torch.from_numpy(part) for part in points(rank, size))
model = torch.nn.parallel.DistributedDataParallel(torch.nn.Linear(4, 1))
optimizer = torch.optim.SGD(model.parameters(), lr=2.0)
for _ in range(200):
    optimizer.zero_grad()
    torch.nn.functional.binary_cross_entropy_with_logits(model(x)[:, 0], y).backward()
    optimizer.step()
weights = torch.cat([parameter.detach().flatten() for parameter in model.parameters()]).numpy()
print("model", hashlib.sha256(weights.tobytes()).hexdigest(), flush=True)
if rank == 0:
    output = Path(os.environ["PLIMSOLL_OUTPUT"])
    whole, _ = points(0, 1)
    torch.save(model.module.state_dict(), output / "model.pt")
    predicted = torch.sigmoid(model.module(torch.from_numpy(whole)))[:, 0].detach().numpy()
    (output / "metrics.json").write_text(json.dumps({"accuracy": accuracy(predicted), "workers": size}))
dist.destroy_process_group()
