"""XGBoost: a tracker that is up before the workers, and DMLC's variables. Source: xgboost.tracker and .collective."""

from __future__ import annotations

from collections.abc import Mapping

from plimsoll.runtime.contracts.gang import Gang


class XGBoost:
    """A worker hands the variables to `xgboost.collective.CommunicatorContext` in small letters."""

    rendezvous_script = "xgboost_tracker.py"
    launcher = False
    node_script = None

    def environment(self, rank: int, gang: Gang) -> Mapping[str, str]:
        """Where the tracker is, and which worker this is."""
        host, port = gang.rendezvous or ("", 0)
        # The tracker gives ranks in the order of these as words, where "10" stands before "2".
        task = str(rank).zfill(len(str(gang.size - 1)))
        return {
            "DMLC_TRACKER_URI": host,
            "DMLC_TRACKER_PORT": str(port),
            "DMLC_NUM_WORKER": str(gang.size),
            "DMLC_TASK_ID": task,
            "DMLC_ROLE": "worker",
            "OMP_NUM_THREADS": str(gang.threads),
        }

    def files(self, gang: Gang) -> Mapping[str, str]:
        """None."""
        return {}
