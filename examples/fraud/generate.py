"""Simulate card payments with synccfd: customers, terminals, and four kinds of fraud, the same for a seed each time.

What the simulation knows and a bank does not, such as the kind of a fraud, is left out.
"""

import csv
import os
from pathlib import Path

import numpy as np
from synccfd import DatasetGenerator

CUSTOMERS, TERMINALS, DAYS, SEED = 800, 1600, 127, 42
START = "2025-01-06"  # a Monday


def main() -> None:
    simulation = DatasetGenerator(
        n_customers=CUSTOMERS, n_terminals=TERMINALS, nb_days=DAYS, start_date=START, random_state=SEED
    )
    _, _, payments = simulation.generate()
    payments = payments.sort_values(["TX_DATETIME", "TRANSACTION_ID"])
    online = (payments.TX_TYPE == "CNP").to_numpy()
    where = [
        np.where(online, payments[f"TX_SHIPP_{axis}"], payments[f"TX_TERM_{axis}"]).astype(float)
        for axis in ("LAT", "LONG")
    ]
    km = distance(payments.TX_BILL_LAT.to_numpy(float), payments.TX_BILL_LONG.to_numpy(float), *where)
    columns = zip(
        payments.TX_DATETIME, payments.CUSTOMER_ID, payments.TERMINAL_ID, payments.TX_AMOUNT, online, km,
        payments.TX_TIME_DAYS, payments.TX_FRAUD, strict=True,
    )
    with (Path(os.environ["PLIMSOLL_OUTPUT"]) / "payments.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "time", "day", "card", "terminal", "amount", "channel", "km", "fraud"])
        for number, (moment, card, terminal, amount, is_online, far, day, fraud) in enumerate(columns):
            channel = "online" if is_online else "shop"
            known = "" if np.isnan(far) else f"{far:.2f}"
            # Online, a payment has no terminal: its card has one of its own there.
            place = f"online-{int(card)}" if is_online else f"t{int(terminal)}"
            writer.writerow([
                f"p{number:06d}", f"{moment:%Y-%m-%dT%H:%M:%S}", int(day), f"card-{int(card):04d}", place,
                f"{amount:.2f}", channel, known, int(fraud),
            ])
    print(f"{len(payments)} payments, {payments.TX_FRAUD.mean():.2%} of them fraud")


def distance(lat: np.ndarray, long: np.ndarray, other_lat: np.ndarray, other_long: np.ndarray) -> np.ndarray:
    """Kilometres between places on the globe, by the haversine formula."""
    first, second = np.radians(lat), np.radians(other_lat)
    across = np.sin((second - first) / 2) ** 2
    across += np.cos(first) * np.cos(second) * np.sin(np.radians(other_long - long) / 2) ** 2
    return 12_742 * np.arcsin(np.sqrt(np.clip(across, 0, 1)))


if __name__ == "__main__":
    main()
