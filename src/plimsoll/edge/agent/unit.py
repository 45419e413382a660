"""The unit file by which systemd keeps an agent up."""

from __future__ import annotations

import shlex
from pathlib import Path


def unit_file(program: str, directory: Path, user: str) -> str:
    """A unit for `/etc/systemd/system`: started at boot without waiting for a network, and again when it ends."""
    command = shlex.join([program, "-m", "plimsoll", "edge", "agent", "--directory", str(directory)])
    return f"""[Unit]
Description=Plimsoll edge agent
StartLimitIntervalSec=0

[Service]
ExecStart={command}
User={user}
# Each thread would have a heap of its own, and memory that one has given back serves no other.
Environment=MALLOC_ARENA_MAX=1
Restart=always
RestartSec=5
NoNewPrivileges=yes
ProtectSystem=strict
ProtectHome=read-only
PrivateTmp=yes
ReadWritePaths={directory}

[Install]
WantedBy=multi-user.target
"""
