"""How long it takes from a new week of payments to a promoted, audited version, against doing all of it anew.

Both ways end alike: the version of the new week answers, and the audit log verifies. What is done anew has an empty
directory: no environment, no payments, no features. Packages come from the installer's own cache in both. The first one
begins with the payments.csv beside this script; without it, with a simulation of its own.
"""

import argparse
import contextlib
import json
import os
import shutil
import subprocess
import tempfile
import threading
import time
import urllib.request
from pathlib import Path

from audited import URL, WIDTH

HERE = Path(__file__).parent
WEEK = 7


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--days", type=int, default=113)
    parser.add_argument("--output", type=Path, help="a file for the figures as JSON")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fraud-") as folder:
        first, second = Place(Path(folder) / "kept"), Place(Path(folder) / "anew")
        first.receive()
        first.run(given.days)
        first.up(given.days)
        try:
            kept = timed(lambda: first.promoted(given.days + WEEK))
        finally:
            first.down()
        anew = timed(lambda: second.served(given.days + WEEK))
        second.down()
        steps = {name: place.steps() for name, place in (("kept", first), ("anew", second))}
    environment = sum(seconds for name, seconds in steps["anew"].items() if name.startswith("environment"))
    common = environment + second.received
    told = {
        "seconds": {"from the changed data on": kept, "all of it anew": anew},
        "saved": 1 - kept / anew,
        "saved_without_environment_and_simulation": 1 - kept / (anew - common),
        "simulation": second.received,
        "steps": steps,
    }
    for name, seconds in told["seconds"].items():
        print(f"{name}: {seconds:.0f} s")
    print(f"saved: {told['saved']:.0%}; where environment and simulated payments are there in both: "
          f"{told['saved_without_environment_and_simulation']:.0%}")
    print(f"  simulation: {second.received:.1f} s, not again")
    for name, seconds in steps["anew"].items():
        again = f"{steps['kept'][name]:.1f} s" if name in steps["kept"] else "not again"
        print(f"  {name}: {seconds:.1f} s, {again}")
    if given.output:
        given.output.write_text(json.dumps(told, indent=1) + "\n")


def timed(act) -> float:
    began = time.monotonic()
    act()
    return time.monotonic() - began


class Place:
    """A copy of the example with keys, environments and a log of its own."""

    def __init__(self, directory: Path) -> None:
        left_out = shutil.ignore_patterns(".plimsoll", "__pycache__", "till.token", "tokens.json")
        shutil.copytree(HERE, directory, ignore=left_out)
        self.directory = directory
        # Environments are made anew; what the installer has downloaded before is there for both.
        cache = Path.home() / ".cache"
        self.environment = {
            "UV_CACHE_DIR": str(cache / "uv"), "PIP_CACHE_DIR": str(cache / "pip"), **os.environ,
            "XDG_CONFIG_HOME": str(directory / "config"), "XDG_CACHE_HOME": str(directory / "cache"),
        }
        self.token = self.plimsoll("token", "create", "till", "--file", "tokens.json").strip()

    def plimsoll(self, *words: str) -> str:
        ended = subprocess.run(
            ["plimsoll", *words], cwd=self.directory, env=self.environment, capture_output=True, text=True, check=False
        )
        if ended.returncode:
            raise SystemExit(f"plimsoll {' '.join(words)}\n{ended.stdout}{ended.stderr}")
        return ended.stdout

    def receive(self) -> None:
        """Have payments.csv, as the bank's own system would write it."""
        self.received = 0.0
        if not (self.directory / "payments.csv").exists():
            self.received = timed(lambda: self.plimsoll("run", "-f", "simulation.yaml"))
            made = self.directory / ".plimsoll" / "latest" / "run" / "simulated" / "payments.csv"
            shutil.copyfile(made, self.directory / "payments.csv")

    def run(self, days: int) -> None:
        self.told = json.loads(self.plimsoll("run", "--set", f"days={days}", "--json"))

    def up(self, days: int) -> None:
        self.plimsoll("up", "--set", f"days={days}")

    def served(self, days: int) -> None:
        """Everything, from nothing to a version that answers."""
        (self.directory / "payments.csv").unlink(missing_ok=True)
        self.receive()
        self.run(days)
        self.up(days)
        with self.traffic():
            time.sleep(1)
        self.plimsoll("audit", "verify")

    def promoted(self, days: int) -> None:
        """The new version of a service that goes on, compared with the old one by its requests."""
        self.run(days)
        version = self.told["models"]["fraud"]["version"]
        with self.traffic():
            self.plimsoll("promote", f"fraud@{version}", "--steps", "50,100", "--hold", "2", "--requests", "50")
        self.plimsoll("audit", "verify")

    def down(self) -> None:
        with contextlib.suppress(SystemExit):
            self.plimsoll("down")

    def steps(self) -> dict[str, float]:
        """Seconds of the steps that the newest run did; those that it did not have to do are not there."""
        report = json.loads(self.plimsoll("status", "--json"))
        return {
            step["name"]: step["seconds"]
            for step in report["steps"]
            if step["state"] == "done" and not step.get("cached") and step.get("seconds")
        }

    @contextlib.contextmanager
    def traffic(self):
        """Requests, one after another, until the end of the block."""
        ending = threading.Event()

        def ask() -> None:
            tensor = {"name": "features", "datatype": "FP32", "shape": [1, WIDTH], "data": [0.0] * WIDTH}
            request = urllib.request.Request(
                f"{URL}/v2/models/fraud/infer", json.dumps({"inputs": [tensor]}).encode(),
                {"Authorization": f"Bearer {self.token}"},
            )
            while not ending.is_set():
                with contextlib.suppress(OSError), urllib.request.urlopen(request, timeout=10) as answer:
                    answer.read()
                time.sleep(0.01)

        asking = threading.Thread(target=ask)
        asking.start()
        try:
            yield
        finally:
            ending.set()
            asking.join()


if __name__ == "__main__":
    main()
