"""Ask the service in every way that it answers and refuses, and count: each call made has one line in the audit log."""

import argparse
import json
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from pathlib import Path

URL = "http://127.0.0.1:8473"
HERE = Path(__file__).parent
WIDTH = 19


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=600)
    parser.add_argument("--token-file", type=Path, default=HERE / "till.token")
    given = parser.parse_args()
    token = given.token_file.read_text().strip()
    before = lines()
    made = Counter(call(number, token) for number in range(given.calls))
    deadline = time.monotonic() + 10
    while (written := lines() - before) < given.calls and time.monotonic() < deadline:
        time.sleep(0.2)
    print(", ".join(f"{count} answered with {status}" for status, count in sorted(made.items())))
    print(f"{given.calls} calls made, {written} lines written: {written / given.calls:.0%}")
    verified = subprocess.run(["plimsoll", "audit", "verify", "fraud", "-f", str(HERE)], check=False)
    sys.exit(verified.returncode or int(written != given.calls))


def call(number: int, token: str) -> int:
    """One of six kinds of calls: three are answered, three are refused, each for another reason."""
    tensor = {"name": "features", "datatype": "FP32", "shape": [1, WIDTH], "data": [float(number % 300)] * WIDTH}
    path, body, who = "/v2/models/fraud/infer", {"inputs": [tensor]}, token
    match number % 6:
        case 1:
            body["parameters"] = {"explain": True}
        case 2:
            path, body = "/v2/models/fraud", None
        case 3:
            who = "nobody"
        case 4:
            tensor["shape"] = [1, 2]
        case 5:
            path = "/v2/models/other/infer"
    data = json.dumps(body).encode() if body is not None else None
    request = urllib.request.Request(URL + path, data, {"Authorization": f"Bearer {who}"})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def lines() -> int:
    """The calls in the audit log; checkpoints and other lines of the log itself are none."""
    told = subprocess.run(
        ["plimsoll", "audit", "export", "fraud", "--format", "ocsf", "-f", str(HERE)],
        capture_output=True, text=True, check=True,
    )
    return len(told.stdout.splitlines())


if __name__ == "__main__":
    main()
