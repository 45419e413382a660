"""Part the readings of a machine in their order: the oldest seven tenths to learn from, the newest ones to play."""

import csv
import gzip
import os
from pathlib import Path

OLDEST = 0.7


def main() -> None:
    with gzip.open(os.environ["PLIMSOLL_INPUT_READINGS"], "rt", newline="") as file:
        header, *rows = csv.reader(file)
    border = int(len(rows) * OLDEST)
    for name, part in (("train.csv", rows[:border]), ("live.csv", rows[border:])):
        with (Path(os.environ["PLIMSOLL_OUTPUT"]) / name).open("w", newline="") as file:
            csv.writer(file).writerows([header, *part])


if __name__ == "__main__":
    main()
