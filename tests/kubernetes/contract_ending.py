"""What any API server and its garbage collector promise of the end of objects."""

from __future__ import annotations

from plimsoll.kubernetes.api import Api
from tests.kubernetes.asking import MERGE, Manifest, ask, config_map, job, owned_by, pod, until

FINALIZER = "plimsoll.dev/test"


class Ending:
    def test_a_deleted_object_is_gone(self, api: Api, maps: str) -> None:
        made = ask(api, "POST", maps, config_map("one")).body
        gone = ask(api, "DELETE", f"{maps}/one")
        assert (gone.code, gone.body["kind"], gone.body["status"]) == (200, "Status", "Success")
        assert gone.body["details"]["uid"] == made["metadata"]["uid"]
        assert ask(api, "GET", f"{maps}/one").code == 404
        assert ask(api, "DELETE", f"{maps}/one").code == 404

    def test_the_client_takes_what_is_gone_as_deleted(self, api: Api, namespace: str, maps: str) -> None:
        ask(api, "POST", maps, config_map("one"))
        api.delete("v1", "ConfigMap", "none", namespace)
        assert ask(api, "GET", f"{maps}/one").code == 200

    def test_a_deletion_can_be_of_one_object_alone(self, api: Api, maps: str) -> None:
        made = ask(api, "POST", maps, config_map("one")).body["metadata"]
        other = {"preconditions": {"uid": "11111111-2222-3333-4444-555555555555"}}
        refused = ask(api, "DELETE", f"{maps}/one", other)
        assert (refused.code, refused.reason) == (409, "Conflict")
        assert ask(api, "DELETE", f"{maps}/one", {"preconditions": {"uid": made["uid"]}}).code == 200

    def test_a_deletion_can_be_of_one_state_alone(self, api: Api, maps: str) -> None:
        old = ask(api, "POST", maps, config_map("one")).body["metadata"]["resourceVersion"]
        ask(api, "PATCH", f"{maps}/one", {"data": {"k": "v"}}, form=MERGE)
        assert ask(api, "DELETE", f"{maps}/one", {"preconditions": {"resourceVersion": old}}).code == 409

    def test_a_deletion_can_be_tried(self, api: Api, maps: str) -> None:
        ask(api, "POST", maps, config_map("one"))
        assert ask(api, "DELETE", f"{maps}/one", dryRun="All").code == 200
        assert ask(api, "GET", f"{maps}/one").code == 200

    def test_an_unknown_propagation_is_invalid(self, api: Api, maps: str) -> None:
        ask(api, "POST", maps, config_map("one"))
        refused = ask(api, "DELETE", f"{maps}/one", {"propagationPolicy": "Sideways"})
        assert (refused.code, refused.reason) == (422, "Invalid")

    def test_an_object_waits_for_its_finalizers(self, api: Api, maps: str) -> None:
        ask(api, "POST", maps, config_map("one", finalizers=[FINALIZER]))
        first = ask(api, "DELETE", f"{maps}/one")
        assert (first.code, first.body["kind"]) == (200, "ConfigMap")
        assert first.body["metadata"]["deletionTimestamp"]
        assert ask(api, "GET", f"{maps}/one").body["metadata"]["finalizers"] == [FINALIZER]
        more = {"metadata": {"finalizers": [FINALIZER, "plimsoll.dev/more"]}}
        assert ask(api, "PATCH", f"{maps}/one", more, form=MERGE).code == 422
        assert ask(api, "PATCH", f"{maps}/one", {"metadata": {"finalizers": None}}, form=MERGE).code == 200
        assert ask(api, "GET", f"{maps}/one").code == 404

    def test_a_pod_without_a_node_goes_at_once(self, api: Api, pods: str) -> None:
        ask(api, "POST", pods, pod("one"))
        assert ask(api, "DELETE", f"{pods}/one").code == 200
        assert ask(api, "GET", f"{pods}/one").code == 404

    def test_a_pod_on_a_node_is_given_its_time(self, api: Api, pods: str) -> None:
        ask(api, "POST", pods, pod("one", node="plimsoll-contract-none"))
        first = ask(api, "DELETE", f"{pods}/one").body
        assert (first["kind"], first["metadata"]["deletionGracePeriodSeconds"]) == ("Pod", 30)
        again = ask(api, "DELETE", f"{pods}/one", {"gracePeriodSeconds": 5}).body
        assert again["metadata"]["deletionGracePeriodSeconds"] == 5
        assert ask(api, "GET", f"{pods}/one").code == 200
        ask(api, "DELETE", f"{pods}/one", {"gracePeriodSeconds": 0})
        assert ask(api, "GET", f"{pods}/one").code == 404

    def test_an_evicted_pod_says_that_it_was_evicted(self, api: Api, pods: str) -> None:
        ask(api, "POST", pods, pod("one", finalizers=[FINALIZER]))
        eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "one"}}
        assert ask(api, "POST", f"{pods}/one/eviction", eviction).code == 201
        found = ask(api, "GET", f"{pods}/one").body
        assert found["metadata"]["deletionTimestamp"]
        conditions = {each["type"]: each for each in found["status"]["conditions"]}
        assert conditions["DisruptionTarget"]["status"] == "True"
        assert conditions["DisruptionTarget"]["reason"] == "EvictionByEvictionAPI"
        ask(api, "PATCH", f"{pods}/one", {"metadata": {"finalizers": None}}, form=MERGE)

    def test_what_an_object_owns_goes_after_it(self, api: Api, maps: str) -> None:
        owner = ask(api, "POST", maps, config_map("owner")).body
        ask(api, "POST", maps, config_map("owned", **owned_by(owner)))
        ask(api, "DELETE", f"{maps}/owner", {"propagationPolicy": "Background"})
        assert ask(api, "GET", f"{maps}/owner").code == 404
        until(lambda: ask(api, "GET", f"{maps}/owned").code == 404)

    def test_an_orphan_stays_and_forgets_its_owner(self, api: Api, maps: str) -> None:
        owner = ask(api, "POST", maps, config_map("owner")).body
        ask(api, "POST", maps, config_map("owned", **owned_by(owner)))
        ask(api, "DELETE", f"{maps}/owner", {"propagationPolicy": "Orphan"})
        until(lambda: ask(api, "GET", f"{maps}/owner").code == 404)
        assert "ownerReferences" not in ask(api, "GET", f"{maps}/owned").body["metadata"]

    def test_an_owner_can_wait_for_what_it_owns(self, api: Api, maps: str) -> None:
        owner = ask(api, "POST", maps, config_map("owner")).body
        held: Manifest = {**owned_by(owner, blocking=True), "finalizers": [FINALIZER]}
        ask(api, "POST", maps, config_map("owned", **held))
        assert ask(api, "DELETE", f"{maps}/owner", {"propagationPolicy": "Foreground"}).code == 200
        until(lambda: "deletionTimestamp" in ask(api, "GET", f"{maps}/owned").body["metadata"])
        assert ask(api, "GET", f"{maps}/owner").body["metadata"]["finalizers"] == ["foregroundDeletion"]
        ask(api, "PATCH", f"{maps}/owned", {"metadata": {"finalizers": None}}, form=MERGE)
        until(lambda: ask(api, "GET", f"{maps}/owner").code == 404)

    def test_a_collection_is_deleted_by_its_labels(self, api: Api, maps: str) -> None:
        for name, of in (("a", "test"), ("b", "test"), ("c", "other")):
            ask(api, "POST", maps, config_map(name, labels={"of": of}))
        gone = ask(api, "DELETE", maps, labelSelector="of=test")
        assert (gone.code, gone.body["kind"]) == (200, "ConfigMapList")
        left = {each["metadata"]["name"] for each in ask(api, "GET", maps).body["items"]}
        assert left & {"a", "b", "c"} == {"c"}

    def test_a_job_leaves_its_pods_unless_told_otherwise(self, api: Api, jobs: str, pods: str) -> None:
        made = ask(api, "POST", jobs, job("one")).body
        ask(api, "POST", pods, pod("owned", **owned_by(made)))
        ask(api, "DELETE", f"{jobs}/one")
        until(lambda: ask(api, "GET", f"{jobs}/one").code == 404)
        assert "ownerReferences" not in ask(api, "GET", f"{pods}/owned").body["metadata"]

    def test_a_name_can_be_used_again(self, api: Api, maps: str) -> None:
        first = ask(api, "POST", maps, config_map("one")).body["metadata"]
        ask(api, "DELETE", f"{maps}/one")
        second = ask(api, "POST", maps, config_map("one")).body["metadata"]
        assert second["uid"] != first["uid"]
        assert int(second["resourceVersion"]) > int(first["resourceVersion"])
