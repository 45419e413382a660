"""The newest model beside the rules and a logistic regression, on the same payments, as a table."""

import argparse
import json
import sys
from pathlib import Path

TRAINED = Path(__file__).parent / ".plimsoll" / "latest" / "train" / "fraud"
WAYS = {
    "rules of a fraud desk": "baseline_rules_",
    "logistic regression, in one process": "baseline_logistic_regression_",
    "XGBoost on two workers": "",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, help="a file for the figures as JSON")
    given = parser.parse_args()
    try:
        metrics = json.loads((TRAINED / "metrics.json").read_text())
    except OSError:
        sys.exit(f"{TRAINED / 'metrics.json'} is not there. Make it with: plimsoll run")
    rows = {
        name: {
            "average precision": round(metrics[f"{prefix}average_precision"], 3),
            "recall of 100 alerts a day": round(metrics[f"{prefix}recall_at_alerts"], 3),
        }
        for name, prefix in WAYS.items()
    }
    print(f"| {metrics['test_payments']:.0f} payments, {metrics['test_fraud']:.0f} of them fraud | "
          + " | ".join(next(iter(rows.values()))) + " |\n|---|---|---|")
    for name, row in rows.items():
        print(f"| {name} | " + " | ".join(f"{value:.3f}" for value in row.values()) + " |")
    if given.output:
        given.output.write_text(json.dumps({"ways": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
