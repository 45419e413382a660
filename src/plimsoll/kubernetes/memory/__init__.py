"""A Kubernetes API in memory, for tests: real HTTP on loopback, the rules of a real API server, nothing of a cluster.

What talks to a cluster is tested against it without one. It is ours and no library's: `kmock`, the nearest, keeps
objects as they were sent, without resource versions, server-side apply, validation or admission, and brings aiohttp.
What it promises is written down as tests that a real API server passes too: `tests/kubernetes/contract.py`.
"""

from plimsoll.kubernetes.memory.access import Denial
from plimsoll.kubernetes.memory.admission import Admission
from plimsoll.kubernetes.memory.cluster import MemoryCluster
from plimsoll.kubernetes.memory.faults import Fault
from plimsoll.kubernetes.memory.refusals import StatusError
from plimsoll.kubernetes.memory.requests import Request
from plimsoll.kubernetes.memory.streams import ContainerCommand, Ran

__all__ = ["Admission", "ContainerCommand", "Denial", "Fault", "MemoryCluster", "Ran", "Request", "StatusError"]
