"""Split the measurements by time: train on the older rows, score the newest."""

import csv
import os
from pathlib import Path

output = Path(os.environ["PLIMSOLL_OUTPUT"])
with open(os.environ["PLIMSOLL_INPUT_MEASUREMENTS"], newline="") as file:
    rows = sorted(csv.DictReader(file), key=lambda row: row["hour"])

split = int(len(rows) * 0.8)
for name, part, columns in (
    ("train.csv", rows[:split], ["id", "vibration", "temperature", "pressure", "worn"]),
    ("live.csv", rows[split:], ["id", "vibration", "temperature", "pressure"]),
):
    with (output / name).open("w", newline="") as file:
        writer = csv.DictWriter(file, columns, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(part)
print(f"{split} training rows, {len(rows) - split} live rows")
