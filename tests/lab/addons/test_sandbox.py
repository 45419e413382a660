"""A sandboxed pod differs from a plain pod on the same node."""

from __future__ import annotations

import pytest

from tests.lab.cluster import Namespace
from tests.lab.conftest import Up

pytestmark = pytest.mark.lab


def test_a_sandboxed_pod_sees_another_kernel_than_its_twin_on_the_same_node(up: Up, namespace: Namespace) -> None:
    up("gvisor")
    namespace.pod("plain", nodeName="node-1")
    namespace.pod("sandboxed", nodeName="node-1", runtimeClassName="gvisor")
    releases = {pod: namespace.execute(pod, "cat", "/proc/version").stdout for pod in ("plain", "sandboxed")}
    assert releases["plain"].startswith("Linux")
    assert releases["sandboxed"] != releases["plain"]
    assert "gVisor" in namespace.execute("sandboxed", "dmesg").stdout
    assert "gVisor" not in namespace.execute("plain", "dmesg").stdout
