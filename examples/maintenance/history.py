"""Work orders as a logbook: what was written, where it was booked, and what the tags say of cause and remedy.

The logbook has the oldest orders alone, by default the 70 % that the classifier learns from.
"""

import csv
import os
from pathlib import Path

from orders import TAGS, oldest, read_orders


def main() -> None:
    share = float(os.environ["PLIMSOLL_PARAM_SHARE"])
    if not 0 < share <= 1:
        raise SystemExit(f"share is {share:g}: it is the share of the orders that the logbook has, at most 1")
    rows = read_orders(Path(os.environ["PLIMSOLL_INPUT_ORDERS"]))
    kept = oldest(rows, share)
    with (Path(os.environ["PLIMSOLL_OUTPUT"]) / "logbook.csv").open("w", newline="", encoding="utf-8") as file:
        columns = ["id", "date", "asset", "text", "booked", *TAGS, "cost"]
        writer = csv.DictWriter(file, columns, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows({**row, "text": row["written"]} for row in kept)
    print(f"{len(kept)} of {len(rows)} orders, until {kept[-1]['date']}")


if __name__ == "__main__":
    main()
