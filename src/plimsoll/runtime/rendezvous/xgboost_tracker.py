"""XGBoost's tracker as a process. It writes its address to a file and runs until all workers have ended.

Stand-alone: it runs in the environment of the training, which has xgboost and not plimsoll.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path


def main() -> None:
    """Start the tracker and wait for the workers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", type=int, required=True)
    parser.add_argument("--host", required=True)
    parser.add_argument("--port", type=int, default=0, help="0 means a free port")
    parser.add_argument("--ready-file", type=Path, required=True)
    parser.add_argument("--timeout", type=float, required=True, help="seconds for all workers to connect")
    arguments = parser.parse_args()
    try:
        import xgboost.core
        from xgboost.tracker import RabitTracker
    except ImportError as error:
        sys.exit(f"{sys.executable} cannot import xgboost ({error}): add it to the requirements")
    timeout = int(arguments.timeout)
    # Sort by task and not by host: worker 0 must be XGBoost's rank 0 on any node, because its files are the result.
    tracker = RabitTracker(
        arguments.workers, host_ip=arguments.host, port=arguments.port, sortby="task", timeout=timeout
    )
    tracker.start()
    address = tracker.worker_args()
    temporary = arguments.ready_file.with_suffix(".part")
    temporary.write_text(
        json.dumps({"host": address["dmlc_tracker_uri"], "port": int(address["dmlc_tracker_port"])}), encoding="ascii"
    )
    temporary.rename(arguments.ready_file)
    try:
        tracker.wait_for()
    except xgboost.core.XGBoostError as error:
        sys.stderr.write(f"not all workers connected to the tracker: {str(error).splitlines()[-1]}\n")
    # The tracker's threads may outlive their work, and nothing is left to flush.
    os._exit(0)


if __name__ == "__main__":
    main()
