import hashlib
import json
import os
import signal
from pathlib import Path

import xgboost as xgb
from data import accuracy, points

checkpoints, output = Path(os.environ["PLIMSOLL_CHECKPOINT"]), Path(os.environ["PLIMSOLL_OUTPUT"])
with xgb.collective.CommunicatorContext(
    dmlc_communicator="rabit",
    dmlc_tracker_uri=os.environ["DMLC_TRACKER_URI"],
    dmlc_tracker_port=int(os.environ["DMLC_TRACKER_PORT"]),
    dmlc_task_id=os.environ["DMLC_TASK_ID"],
    dmlc_timeout=20,
    dmlc_retry=2,
):
    rank, size = xgb.collective.get_rank(), xgb.collective.get_world_size()
    x, y = points(rank, size)
    shard = xgb.DMatrix(x, y)
    done = int(xgb.collective.broadcast(max((int(p.stem) for p in checkpoints.glob("*.ubj")), default=0), 0))
    print("from round", done, flush=True)
    booster = xgb.Booster(model_file=checkpoints / f"{done}.ubj") if done else None
    while done < 30:
        booster = xgb.train({"objective": "binary:logistic", "base_score": 0.5, "nthread": 1}, shard, 5, xgb_model=booster)
        done += 5
        if rank == 0:
            booster.save_model(checkpoints / "part.ubj.tmp")
            (checkpoints / "part.ubj.tmp").rename(checkpoints / f"{done}.ubj")
        xgb.collective.broadcast(done, 0)
        if "DIE_AT" in os.environ and done == 15 and rank == 1 and not Path("died").exists():
            Path("died").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        booster = xgb.Booster(model_file=checkpoints / f"{done}.ubj")
    digest = hashlib.sha256(booster.save_raw("ubj")).hexdigest()
    print("model", digest, flush=True)
    if rank == 0:
        whole, _ = points(0, 1)
        booster.save_model(output / "model.ubj")
        (output / "metrics.json").write_text(json.dumps({"accuracy": accuracy(booster.inplace_predict(whole)), "workers": size}))
