"""A service: the server comes up, answers a real request, and (unless the run watches) goes down again."""

from __future__ import annotations

import signal
import time

from plimsoll.planning.steps import Serve
from plimsoll.targets.local.attempt import Attempt, Outcome, Progress, failed
from plimsoll.targets.local.models import model_for_use
from plimsoll.targets.local.servers import RunningService, announce, start_server


def serve(attempt: Attempt) -> Progress:
    """Prove the service; keep it up when the run watches."""
    work = attempt.step.work
    assert isinstance(work, Serve)  # noqa: S101 - the table of work says so
    context = attempt.context
    version, model = model_for_use(context.state, work.model, work.register_key)
    began = time.monotonic()
    threads = max(1, int(attempt.step.share.cores))
    server = start_server(
        context.warden, version, model, directory=attempt.directory, log=attempt.log(0), threads=threads
    )
    keep = False
    try:
        yield attempt.seen("worker-started", rank=0, pid=server.process.pid, limited=[])
        problem = server.wait_until_ready(lambda: attempt.stopped)
        if problem:
            return failed(problem)
        ready = time.monotonic() - began
        latency = server.prove(version.name)
        keep = context.watch
    finally:
        if not keep:
            end = server.stop() if server.url else None
            server.process.send(signal.SIGKILL)
    result = {
        "model": version.reference,
        "digest": version.digest,
        "seconds_to_ready": round(ready, 3),
        "latency_ms": round(latency * 1000, 3),
        "url": server.url if keep else None,
    }
    if keep:
        up = RunningService(
            name=work.service,
            url=server.url,
            pid=server.process.pid,
            model=version.name,
            version=version.version,
            run=context.run,
        )
        announce(context.state, up)
        context.kept[work.service] = server
    elif end is not None:
        yield attempt.seen(
            "worker-ended",
            rank=0,
            code=end.code,
            signal=end.signal,
            cpu_seconds=round(end.cpu_seconds, 3),
            peak_memory=end.peak_memory,
        )
    return Outcome(state="done", result=result)
