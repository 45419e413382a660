"""Every falsified record: each a real record that is falsified in one way."""

from __future__ import annotations

from tests.capabilities import falsified_devices, falsified_traffic, falsified_workloads

CHEATS = [*falsified_workloads.CHEATS, *falsified_traffic.CHEATS, *falsified_devices.CHEATS]
