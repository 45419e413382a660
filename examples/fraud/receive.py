"""The payments that have arrived so far: those of the first days. A week more is other data, and learnt from anew."""

import csv
import os
from pathlib import Path


def main() -> None:
    days = int(os.environ["PLIMSOLL_PARAM_DAYS"])
    source = Path(os.environ["PLIMSOLL_INPUT_PAYMENTS"])
    with source.open(newline="") as file:
        rows = csv.DictReader(file)
        names, kept = list(rows.fieldnames or ()), [row for row in rows if int(row["day"]) < days]
    if not kept or max(int(row["day"]) for row in kept) != days - 1:
        raise SystemExit(f"there are no payments of {days} days: set days to a number that payments.csv has")
    with (Path(os.environ["PLIMSOLL_OUTPUT"]) / "payments.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows(kept)
    print(f"{len(kept)} payments of {days} days")


if __name__ == "__main__":
    main()
