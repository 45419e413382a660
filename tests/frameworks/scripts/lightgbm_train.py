import hashlib
import json
import os
from pathlib import Path

import lightgbm as lgb
from data import accuracy, points

output = Path(os.environ["PLIMSOLL_OUTPUT"])
rank, size = int(os.environ["LIGHTGBM_RANK"]), int(os.environ["LIGHTGBM_NUM_MACHINES"])
parameters = {
    "objective": "binary",
    "tree_learner": "data",
    "machines": os.environ["LIGHTGBM_MACHINES"],
    "num_machines": size,
    "local_listen_port": int(os.environ["LIGHTGBM_LOCAL_LISTEN_PORT"]),
    "time_out": 1,
    "pre_partition": True,
    "num_threads": 1,
    "verbosity": -1,
    "min_data_in_leaf": 5,
}
x, y = points(rank, size)
booster = lgb.train(parameters, lgb.Dataset(x, y), num_boost_round=40)
trees = booster.model_to_string().partition("\nparameters:")[0]
print("model", hashlib.sha256(trees.encode()).hexdigest(), flush=True)
if rank == 0:
    whole, _ = points(0, 1)
    booster.save_model(output / "model.txt")
    (output / "metrics.json").write_text(json.dumps({"accuracy": accuracy(booster.predict(whole)), "workers": size}))
