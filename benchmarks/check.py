"""`plimsoll check`: all MUSTs on the honest lab, cheats, an inventory at size, faults, and verifying a bundle.

    python -m benchmarks check                 what stands in docs/benchmarks.md
    python -m benchmarks.check --runs 20       the first series only, so often
    python -m benchmarks.check --cheats [NAME …]
    python -m benchmarks.check --inventory | --faults 30 | --verify [BUNDLE]

It needs a lab that is up (`make lab`); without one nothing is measured.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.measuring import PLIMSOLL, ROOT, median, verdict
from lab import layout, requirements
from lab.addons import catalogue as addons
from lab.cheats import catalogue
from lab.errors import LabError
from lab.kubectl import kubectl
from lab.lifecycle import require_running
from plimsoll.capabilities.requirements import PROFILES, profile

RUNS = 3
ADDONS = ("jobset", "kueue", "gateway", "custom-metrics", "autoscaler")
MUSTS = (
    "secure_accelerator_access",
    "gang_scheduling",
    "ai_inference",
    "robust_controller",
    "cluster_autoscaling",
    "pod_autoscaling",
    "accelerator_metrics",
    "ai_service_metrics",
)
OLDER_MUST = "dra_support"
"""Until 1.35."""
LIMIT = 900.0
FLIPS = 1000
SEED = 20260101
NODES, PODS = 5000, 150_000


def main(arguments: list[str]) -> bool:
    """Print each figure beside its limit."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int)
    parser.add_argument("--cheats", nargs="*")
    parser.add_argument("--faults", type=int)
    parser.add_argument("--inventory", action="store_true")
    parser.add_argument("--verify", nargs="?", const="")
    chosen = parser.parse_args(arguments)
    print("check: what a cluster can carry")
    # A bundle that is there already is verified without a lab.
    problem = "" if chosen.verify else _obstacle(not arguments or bool(chosen.runs))
    if problem:
        print(f"  not measured: {problem}")
        return True
    everything = not arguments
    kept = []
    if everything or chosen.runs:
        kept.append(musts(chosen.runs or RUNS))
    if everything or chosen.verify is not None:
        kept.append(verifying(Path(chosen.verify) if chosen.verify else None))
    if everything or chosen.inventory:
        kept.append(inventory())
    if chosen.faults:
        kept.append(faults(chosen.faults))
    if chosen.cheats is not None:
        kept.append(cheats(chosen.cheats or list(catalogue.CHEATS)))
    return all(kept)


def _obstacle(everything: bool) -> str:
    if missing := requirements.missing():
        return f"it needs {'; '.join(missing)}"
    try:
        require_running()
    except LabError as error:
        return str(error)
    lacking = [name for name in ADDONS if everything and name not in addons.installed()]
    return f"the lab lacks {', '.join(lacking)}; 'make lab' installs them" if lacking else ""


def _environment(config: Path | None = None) -> dict[str, str]:
    return {**os.environ, "KUBECONFIG": str(config or layout.KUBECONFIG)}


def _check(bundle: Path, *arguments: str) -> tuple[dict[str, dict[str, str]], float, float]:
    """Verdicts by id, seconds, and the most memory that the process had, in MB."""
    shutil.rmtree(bundle, ignore_errors=True)
    command = [*PLIMSOLL, "check", "--target=lab", f"--output={bundle}", "--json", *arguments]
    began = time.monotonic()
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(command, env=_environment(), stdout=output, stderr=errors, cwd=ROOT)
        _, _status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(_status)
        output.seek(0)
        errors.seek(0)
        text, said = output.read(), errors.read()
    took = time.monotonic() - began
    try:
        found = json.loads(text)
    except ValueError:
        sys.exit(f"a check ended with {process.returncode}:\n{said[-3000:]}")
    return {each["id"]: each for each in found["verdicts"]}, took, usage.ru_maxrss / 1024


def musts(runs: int) -> bool:
    """All MUSTs of 1.37, again and again."""
    seconds, memory, good = [], [], 0
    with tempfile.TemporaryDirectory() as folder:
        for number in range(runs):
            found, took, most = _check(Path(folder, "bundle"), *(f"--only={name}" for name in MUSTS))
            bad = {name: found[name]["verdict"] for name in MUSTS if found[name]["verdict"] != "pass"}
            good += not bad
            seconds.append(took)
            memory.append(most)
            print(f"  run {number + 1}: {took:.0f} s, {most:.0f} MB, {bad or 'all pass'}", flush=True)
            for name in bad:
                print(f"    {name}: {found[name]['figure']} {found[name]['cause']}", flush=True)
            _gone()
    kept = [
        verdict("runs in which all MUSTs pass", good, runs, "runs", at_least=True),
        verdict("all MUSTs, the slowest run", max(seconds), 180, "s"),
        verdict("memory, the largest", max(memory), 100, "MB"),
    ]
    print(f"  the middle run took {median(seconds):.0f} s")
    return all(kept)


def cheats(names: list[str]) -> bool:
    """Every cheat once: none may pass what it pretends; each requirement has to pass again afterwards."""
    fooled: list[str] = []
    tried: set[str] = set()
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            requirement = catalogue.CHEATS[name].requirement
            missing = [each for each in catalogue.CHEATS[name].needs if each not in addons.installed()]
            if missing:
                print(f"  {name}: not tried, the lab lacks {', '.join(missing)}", flush=True)
                continue
            try:
                catalogue.switch_on(name)
                options = (f"--profile={_newest(requirement)}", f"--only={requirement}", "--timeout=420")
                found, took, _ = _check(Path(folder, "bundle"), *options)
            finally:
                catalogue.switch_off(name)
            outcome = found[requirement]
            if outcome["verdict"] == "pass":
                fooled.append(name)
            tried.add(requirement)
            words = f"{outcome['verdict']} ({outcome['cause'][:110]})"
            print(
                f"  {'FOOLED' if name in fooled else 'caught'} {name}: {requirement} {words}, {took:.0f} s", flush=True
            )
        found = {}
        for newest in sorted({_newest(each) for each in tried}):
            only = [f"--only={each}" for each in sorted(tried) if _newest(each) == newest]
            found |= _check(Path(folder, "bundle"), f"--profile={newest}", *only)[0]
    lost = [name for name in sorted(tried) if found[name]["verdict"] != "pass" and name in (*MUSTS, OLDER_MUST)]
    for name in lost:
        print(f"  afterwards: {name} {found[name]['verdict']}: {found[name]['cause']}", flush=True)
    kept = verdict("cheats that pass", len(fooled), 0, "cheats")
    return verdict("requirements that do not pass again afterwards", len(lost), 0, "requirements") and kept


def _newest(requirement: str) -> str:
    """The newest profile that has a requirement."""
    return next(each for each in reversed(PROFILES) if requirement in profile(each))


def _left() -> list[str]:
    kinds = "namespaces,clusterqueues.kueue.x-k8s.io,resourceflavors.kueue.x-k8s.io"
    return kubectl("get", kinds, "-lplimsoll.dev/check", "--output=name").split()


def _gone(limit: float = 120.0) -> list[str]:
    """What is left of checks after at most that long."""
    end = time.monotonic() + limit
    while (left := _left()) and time.monotonic() < end:
        time.sleep(1)
    return left


def faults(count: int) -> bool:
    """Kills of the check, and cuts of its way to the API server, at random moments: no wrong pass, nothing left."""
    chance = random.Random(SEED)
    wrong: list[str] = []
    left: list[str] = []
    # A cheat is on for half of them, so that there is something that must not pass whatever happens.
    with tempfile.TemporaryDirectory() as folder:
        for number in range(count):
            kind = ("kill", "cut")[number % 2]
            cheating = chance.random() < 0.5
            if cheating:
                catalogue.switch_on("dead-webhook")
            bundle = Path(folder, f"bundle-{number}")
            outcome = _disturbed(bundle, kind, chance)
            if cheating:
                catalogue.switch_off("dead-webhook")
            if cheating and outcome.get("robust_controller") == "pass":
                wrong.append(f"{number}: robust_controller passes a dead webhook")
            if kind == "kill":
                done = subprocess.run([*PLIMSOLL, "check", "--target=lab", "--clean"], env=_environment(), check=False)
                if done.returncode:
                    left.append(f"{number}: --clean ended with {done.returncode}")
            left += [f"{number}: {each}" for each in _gone()]
            under = ", under dead-webhook" if cheating else ""
            print(f"  {number + 1} {kind}{under}: {outcome or 'no bundle'}", flush=True)
    for each in (*wrong, *left):
        print(f"  {each}", flush=True)
    kept = verdict("wrong passes", len(wrong), 0, "verdicts")
    return verdict("objects left behind", len(left), 0, "objects") and kept


def _disturbed(bundle: Path, kind: str, chance: random.Random) -> dict[str, str]:
    """The verdicts of a check that was disturbed; none of one that was killed and left no signed bundle."""
    only = ("robust_controller", "gang_scheduling", "ai_service_metrics")
    command = [*PLIMSOLL, "check", "--target=lab", f"--output={bundle}", "--json", *(f"--only={each}" for each in only)]
    moment = chance.uniform(3, 50)
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(command, env=_environment(), stdout=output, stderr=subprocess.DEVNULL, cwd=ROOT)
        try:
            process.wait(moment)
        except subprocess.TimeoutExpired:
            if kind == "kill":
                process.send_signal(signal.SIGKILL)
            else:
                _cut(chance.uniform(2, 20))
        process.wait(LIMIT)
        output.seek(0)
        text = output.read()
    if process.returncode == -signal.SIGKILL:
        again = subprocess.run([*PLIMSOLL, "verify", str(bundle)], capture_output=True, check=False)
        return {"verify": "accepts a bundle without an end"} if again.returncode == 0 else {}
    return {each["id"]: each["verdict"] for each in json.loads(text)["verdicts"] if each["id"] in only}


def _cut(seconds: float) -> None:
    """The way into the lab is shut, as when a network between is down."""
    from lab import door

    door.close()
    time.sleep(seconds)
    door.open_door()


def inventory() -> bool:
    """An API server with thousands of nodes: the inventory beside the bare list of the same objects."""
    from lab import scale

    scale.fill(NODES, PODS, 100, lambda _: None)
    environment = {**os.environ, "KUBECONFIG": str(scale.DOOR.kubeconfig)}
    bare, ours, memory = [], [], []
    try:
        context = kubectl("config", "current-context", f"--kubeconfig={scale.DOOR.kubeconfig}").strip()
        for _ in range(3):
            began = time.monotonic()
            subprocess.run(
                [sys.executable, "-m", "benchmarks.bare_list", context], env=environment, cwd=ROOT, check=True
            )
            bare.append(time.monotonic() - began)
            with tempfile.TemporaryDirectory() as folder:
                command = [*PLIMSOLL, "check", f"--target={context}", "--read-only", f"--output={folder}/bundle"]
                began = time.monotonic()
                process = subprocess.Popen(command, env=environment, cwd=ROOT, stdout=subprocess.DEVNULL)
                _, status, usage = os.wait4(process.pid, 0)
                process.returncode = os.waitstatus_to_exitcode(status)
                ours.append(time.monotonic() - began)
                memory.append(usage.ru_maxrss / 1024)
                if process.returncode:
                    sys.exit("the inventory failed")
    finally:
        scale.remove()
    print(f"  {NODES} nodes, {PODS} pods: bare list {median(bare):.1f} s, inventory {median(ours):.1f} s")
    kept = verdict("inventory over the bare list", median(ours) / median(bare), 1.2, "times")
    return verdict("memory of the inventory", max(memory), 200, "MB") and kept


def verifying(bundle: Path | None) -> bool:
    """How long `verify` takes, and whether every changed byte is found."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder, "bundle")
        if bundle is None:
            _check(place, "--only=robust_controller", "--only=gang_scheduling")
        else:
            shutil.copytree(bundle, place)
        took = []
        for _ in range(5):
            began = time.monotonic()
            subprocess.run([*PLIMSOLL, "verify", str(place)], check=True, stdout=subprocess.DEVNULL)
            took.append(time.monotonic() - began)
        missed = _flipped(place)
    kept = verdict("verify, the slowest of five", max(took), 1.0, "s")
    return verdict(f"of {FLIPS} single bytes that were changed, not found", missed, 0, "bytes") and kept


def _flipped(bundle: Path) -> int:
    """In this process, as a thousand starts would measure Python's."""
    from plimsoll.evidence.bundle import check_seal
    from plimsoll.signing.keys import KeyRing

    chance = random.Random(SEED)
    files = sorted(path for path in bundle.rglob("*") if path.is_file() and path.stat().st_size)
    missed = 0
    for _ in range(FLIPS):
        path = chance.choice(files)
        content = bytearray(path.read_bytes())
        position = chance.randrange(len(content))
        content[position] ^= chance.randrange(1, 256)
        before = path.read_bytes()
        path.write_bytes(content)
        found = check_seal(bundle, KeyRing.default()).problems
        name = path.relative_to(bundle).as_posix()
        # The manifest and its envelope vouch for each other: either may be named.
        named = any(name in each for each in found) or (name.startswith("manifest") and bool(found))
        missed += not named
        path.write_bytes(before)
    return missed


if __name__ == "__main__":
    sys.exit(0 if main(sys.argv[1:]) else 1)
