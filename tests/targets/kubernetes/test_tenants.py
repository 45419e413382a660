"""A tenant's people run an application with the rights of the tenant alone, behind its walls."""

from __future__ import annotations

from pathlib import Path

import pytest

from plimsoll.tenants.facts import look
from plimsoll.tenants.manifests import manifests
from plimsoll.tenants.owning import carry_out
from plimsoll.tenants.tenant import LABEL, Tenant
from tests.targets.kubernetes.bench import APPLICATION
from tests.targets.kubernetes.conftest import NewBench
from tests.targets.kubernetes.life import Life, furnish, servers

ADA = "ada"


@pytest.mark.slow
@pytest.mark.parametrize("addons", [(), ("jobset", "gateway", "prometheus")], ids=["plain", "operators"])
def test_a_whole_life_takes_no_more_than_the_rights_of_a_tenant(
    new_bench: NewBench, tmp_path: Path, addons: tuple[str, ...]
) -> None:
    bench = new_bench(*addons)
    furnish(bench, *addons)
    ada = bench.cluster.user(ADA)
    metadata = {"name": APPLICATION, "labels": {LABEL: APPLICATION}}
    bench.cluster.put({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
    api = bench.target().api
    tenant = Tenant(name=APPLICATION, cpu="8", memory="16Gi", users=(ADA,))
    assert carry_out(api, APPLICATION, manifests(tenant, look(api)))
    with servers(bench), Life(bench, ada, tmp_path / "ada") as life:
        life.whole()
    refused = [each for each in bench.cluster.seen() if (each.user, each.code) == (ADA, 403) and each.changes]
    assert refused == []
    assert carry_out(api, APPLICATION, manifests(tenant, look(api))) == [], "its walls stand as before"
