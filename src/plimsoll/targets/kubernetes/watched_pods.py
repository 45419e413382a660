"""The pods of a gang, as much of each as is looked at: one of thousands has its whole manifest in every pod.

A page is decoded without what nobody reads: the task, the volumes, and who has set which field.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from plimsoll.decoding import decodable
from plimsoll.kubernetes.api import Api, Manifest, Page

Values = dict[str, Any]  # Any: JSON


class _Metadata(Struct, omit_defaults=True, rename="camel"):
    name: str
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    creation_timestamp: str = ""
    deletion_timestamp: str | None = None
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    owner_references: list[Values] = []
    finalizers: list[str] = []


class _Container(Struct, omit_defaults=True, rename="camel"):
    name: str
    image: str = ""
    restart_policy: str | None = None
    resources: Values = {}
    ports: list[Values] = []


class _Spec(Struct, omit_defaults=True, rename="camel"):
    containers: list[_Container] = []
    init_containers: list[_Container] = []
    node_name: str = ""
    node_selector: dict[str, str] = {}
    affinity: Values = {}
    tolerations: list[Values] = []
    scheduling_gates: list[Values] = []
    service_account_name: str = ""


class _Pod(Struct, omit_defaults=True):
    metadata: _Metadata
    spec: _Spec
    status: Values = {}


_PAGE = decodable(Page[_Pod])


def watched_pods(api: Api, namespace: str, selector: str) -> list[Manifest]:
    """Pods with labels, as manifests that lack what is not looked at."""
    found: list[Manifest] = []
    for page in api.pages("v1", "Pod", _PAGE, namespace, selector):
        found += [msgspec.to_builtins(pod) for pod in page]
    return found
