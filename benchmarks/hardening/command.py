"""The command line of the benchmark, and the order of what it measures."""

from __future__ import annotations

import argparse
import secrets
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from random import Random
from typing import TypeVar

from benchmarks.hardening import connections, delays
from benchmarks.hardening.findings import Findings
from benchmarks.hardening.grpc_fuzz import GrpcFuzz
from benchmarks.hardening.http_fuzz import HttpFuzz
from benchmarks.hardening.in_process import work
from benchmarks.hardening.server import Attacked, attacked
from benchmarks.measuring import verdict

SHARES = {"http": 0.15, "grpc": 0.08, "registry": 0.1, "file": 0.06, "tables": 0.06, "bundles": 0.05}
"""Shares of the whole time for what is fuzzed."""
OF_THE_SERVER: dict[str, type[HttpFuzz] | type[GrpcFuzz]] = {"http": HttpFuzz, "grpc": GrpcFuzz}
Argument = TypeVar("Argument")
CONNECTIONS = 10_000
MEMORY = 1024.0
"""Megabytes that a server may have had at most: that of a small container."""
WORKER_MEMORY = 512.0
"""Megabytes of a process that reads small hostile inputs of all kinds."""


class Session:
    """One run: `seconds` in all, about; all that is drawn follows from `seed`."""

    def __init__(self, directory: Path, findings: Findings, seconds: float, seed: str) -> None:
        self.directory, self.findings, self.seconds, self.seed = directory, findings, seconds, seed

    def fuzz_server(self, area: str, server: Attacked) -> bool:
        """Fuzz one protocol of the server."""
        fuzz = OF_THE_SERVER[area](server, self.findings, Random(f"{self.seed} {area}"))
        fuzz.run(self.seconds * SHARES[area])
        return self._fuzzed(area, fuzz.cases)

    def fuzz_process(self, area: str) -> bool:
        """Fuzz what runs in processes of its own."""
        worked = work(area, self.directory, self.findings, self.seconds * SHARES[area], self.seed)
        kept = verdict(f"{area}: memory of the process", worked.peak, WORKER_MEMORY, "MB")
        return self._fuzzed(area, worked.cases) and kept

    def _fuzzed(self, area: str, cases: int) -> bool:
        enough = verdict(f"{area}: cases", cases, 1, "cases", at_least=True)
        return verdict(f"{area}: kinds of findings", self.findings.kinds(area), 0, "kinds") and enough

    def connections(self, server: Attacked) -> bool:
        """Open ten thousand hostile connections, if the time lasts."""
        limit = max(90.0, 0.25 * self.seconds)
        count, longest = connections.hold(server, self.findings, Random(self.seed), CONNECTIONS, limit)
        whole = verdict("connections: hostile ones", count, CONNECTIONS, "connections", at_least=True)
        return verdict("connections: longest wait of /v2/health/live", longest, 1, "s") and whole

    def delays(self, server: Attacked) -> bool:
        """Ask for what is costly, once at least and three times if the time lasts."""
        end = time.monotonic() + 0.3 * self.seconds
        found = delays.measure(server, self.findings, 3, end)
        for each in sorted(found, key=lambda each: -each.beyond):
            print(f"    {each.kind}: {each.busy * 1000:.0f} ms, without it {each.quiet * 1000:.0f} ms", flush=True)
        worst = max(found, key=lambda each: each.beyond)
        name = f"delays: a neighbour's wait beyond the machine's noise, the longest ({worst.kind})"
        return verdict(name, worst.beyond * 1000, delays.LIMIT * 1000, "ms")


def main(argv: list[str]) -> bool:
    """Attack everything that is named; true when all limits are kept."""
    options = _options(argv)
    # A benchmark that is told to end takes its server and its workers with it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended from outside"))
    output = options.output or Path(tempfile.mkdtemp(prefix="plimsoll-hardening-"))
    findings = Findings(output)
    wanted = options.only or [*SHARES, "connections", "delays"]
    print(f"hardening, seed {options.seed}, {options.minutes:g} minutes, findings in {output}", flush=True)
    with tempfile.TemporaryDirectory(prefix="plimsoll-hardening-") as name:
        session = Session(Path(name), findings, 60 * options.minutes, options.seed)
        kept = _attack(session, wanted)
    kept = verdict("kinds of findings in all", findings.kinds(), 0, "kinds") and kept
    for line in findings.summary():
        print(f"  {line}", flush=True)
    if not options.output and not any(output.iterdir()):
        output.rmdir()
    return kept


def _attack(session: Session, wanted: list[str]) -> bool:
    kept = [_guarded(session.fuzz_process, area) for area in SHARES if area in wanted and area not in OF_THE_SERVER]
    served: dict[str, Callable[[Attacked], bool]] = {area: partial(session.fuzz_server, area) for area in OF_THE_SERVER}
    served |= {"connections": session.connections, "delays": session.delays}
    if any(area in wanted for area in served):
        with attacked(session.directory, session.findings) as server:
            kept += [_guarded(served[area], server) for area in served if area in wanted]
            kept.append(verdict("memory of the server at most", server.peak, MEMORY, "MB"))
    return all(kept)


def _guarded(measure: Callable[[Argument], bool], argument: Argument) -> bool:
    """What was measured; false with the reason where that was not possible, so that the rest is still measured."""
    try:
        return measure(argument)
    except Exception as error:  # noqa: BLE001 - what one attack meets must not take the figures of the others
        print(f"  MISSED not measured: {type(error).__name__}: {error}", flush=True)
        return False


def _options(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks hardening", description=__doc__)
    parser.add_argument("--minutes", type=float, default=3.0, help="in all, about")
    parser.add_argument("--seed", default=secrets.token_hex(4), help="decides everything that is drawn")
    parser.add_argument("--output", type=Path, help="directory for the inputs that reproduce findings")
    parser.add_argument(
        "--only", action="append", choices=[*SHARES, "connections", "delays"], help="may be given several times"
    )
    return parser.parse_args(argv)


def run() -> None:
    """The exit status is 1 when a limit is not kept."""
    sys.exit(0 if main(sys.argv[1:]) else 1)
