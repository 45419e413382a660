"""What Plimsoll asks of any Kubernetes API server: the one in memory and a real one are held to the same tests.

A test class inherits from `Contract` and overrides the fixture `api`. The tests speak HTTP and our own client alone.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import pytest

from plimsoll.kubernetes.api import Api
from tests.kubernetes.asking import until
from tests.kubernetes.contract_applying import Applying
from tests.kubernetes.contract_ending import Ending
from tests.kubernetes.contract_objects import Creation, Patching, Replacing
from tests.kubernetes.contract_reading import Discovery, Namespaces, Reading, Watching
from tests.kubernetes.contract_rights import Definitions, Rights


class Contract(
    Discovery, Reading, Watching, Namespaces, Creation, Replacing, Patching, Applying, Ending, Rights, Definitions
):
    """Every promise. Each test has a namespace of its own."""

    @pytest.fixture
    def api(self) -> Api:
        """A client with all rights: the one fixture to override."""
        raise NotImplementedError

    @pytest.fixture
    def namespace(self, api: Api) -> Iterator[str]:
        """A namespace for one test, with the account without which it takes no pods."""
        name = f"contract-{secrets.token_hex(4)}"
        api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        until(lambda: api.find("v1", "ServiceAccount", "default", name))
        until(lambda: api.find("v1", "ConfigMap", "kube-root-ca.crt", name))
        yield name
        api.delete("v1", "Namespace", name)

    @pytest.fixture
    def maps(self, namespace: str) -> str:
        """Where the namespace's ConfigMaps lie."""
        return f"/api/v1/namespaces/{namespace}/configmaps"

    @pytest.fixture
    def pods(self, namespace: str) -> str:
        """Where its pods lie."""
        return f"/api/v1/namespaces/{namespace}/pods"

    @pytest.fixture
    def deployments(self, namespace: str) -> str:
        """Where its Deployments lie."""
        return f"/apis/apps/v1/namespaces/{namespace}/deployments"

    @pytest.fixture
    def jobs(self, namespace: str) -> str:
        """Where its Jobs lie."""
        return f"/apis/batch/v1/namespaces/{namespace}/jobs"
