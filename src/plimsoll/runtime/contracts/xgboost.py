"""XGBoost: a tracker that runs before the workers, and the DMLC variables. Source: xgboost.tracker, .collective."""

from __future__ import annotations

from collections.abc import Mapping

from plimsoll.runtime.contracts.gang import Gang


class XGBoost:
    """A worker passes the variables, in lower case, to `xgboost.collective.CommunicatorContext`."""

    rendezvous_script = "xgboost_tracker.py"
    launcher = False
    node_script = None
    agent_script = None

    def environment(self, rank: int, gang: Gang) -> Mapping[str, str]:
        """The address of the tracker, and the id of this worker."""
        host, port = gang.rendezvous or ("", 0)
        # The tracker assigns ranks in the alphabetical order of the ids, in which "10" comes before "2".
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
        """No files."""
        return {}
