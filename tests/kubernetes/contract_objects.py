"""What any API server promises of objects that are created, replaced and patched."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from plimsoll.kubernetes.api import Api
from tests.kubernetes.asking import (
    APPLY,
    MERGE,
    PATCH,
    STRATEGIC,
    ask,
    config_map,
    container,
    deployment,
    job,
    pod,
    service,
    until,
)


class Creation:
    def test_a_new_object_is_answered_with_201_and_the_servers_own_metadata(self, api: Api, maps: str) -> None:
        given = config_map("one", {"k": "v"}, uid="mine", creationTimestamp="2001-01-01T00:00:00Z")
        made = ask(api, "POST", maps, given)
        assert made.code == 201
        metadata = made.body["metadata"]
        assert metadata["uid"] not in ("", "mine")
        assert metadata["resourceVersion"]
        assert not metadata["creationTimestamp"].startswith("2001")
        assert made.body["data"] == {"k": "v"}

    def test_a_pod_pulls_images_with_the_secrets_of_its_account(self, api: Api, namespace: str) -> None:
        place = f"/api/v1/namespaces/{namespace}"
        account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "puller"}}
        ask(api, "POST", f"{place}/serviceaccounts", {**account, "imagePullSecrets": [{"name": "pull"}]})
        given = pod("one")
        given["spec"]["serviceAccountName"] = "puller"
        made = until(lambda: _made(api, f"{place}/pods", given))
        assert made["spec"]["imagePullSecrets"] == [{"name": "pull"}]

    def test_a_second_object_of_a_name_is_a_conflict(self, api: Api, maps: str) -> None:
        ask(api, "POST", maps, config_map("one"))
        again = ask(api, "POST", maps, config_map("one"))
        assert (again.code, again.reason) == (409, "AlreadyExists")
        assert again.body["details"]["name"] == "one"

    def test_generate_name_gives_a_name_with_that_beginning(self, api: Api, maps: str) -> None:
        given = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"generateName": "made-"}}
        names = {ask(api, "POST", maps, given).body["metadata"]["name"] for _ in range(3)}
        assert len(names) == 3
        assert all(name.startswith("made-") and len(name) == len("made-") + 5 for name in names)

    def test_an_object_without_a_name_is_invalid(self, api: Api, maps: str) -> None:
        refused = ask(api, "POST", maps, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {}})
        assert (refused.code, refused.reason) == (422, "Invalid")
        assert refused.fields == {"metadata.name"}

    def test_a_namespace_that_is_not_there_takes_nothing(self, api: Api) -> None:
        refused = ask(api, "POST", "/api/v1/namespaces/plimsoll-contract-none/configmaps", config_map("one"))
        assert (refused.code, refused.reason) == (404, "NotFound")
        assert refused.body["details"]["kind"] == "namespaces"

    def test_a_namespace_in_the_body_must_be_that_of_the_path(self, api: Api, maps: str) -> None:
        refused = ask(api, "POST", maps, config_map("one", namespace="default"))
        assert (refused.code, refused.reason) == (400, "BadRequest")

    def test_a_body_of_another_kind_is_refused(self, api: Api, maps: str) -> None:
        refused = ask(api, "POST", maps, pod("one"))
        assert (refused.code, refused.reason) == (400, "BadRequest")

    def test_a_body_that_is_no_json_is_refused(self, api: Api, maps: str) -> None:
        refused = ask(api, "POST", maps, b"{")
        assert (refused.code, refused.reason) == (400, "BadRequest")

    def test_a_body_may_be_yaml(self, api: Api, maps: str) -> None:
        content = b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: one}\ndata: {k: v}\n"
        made = ask(api, "POST", maps, content, form="application/yaml")
        assert (made.code, made.body["data"]) == (201, {"k": "v"})

    def test_a_body_of_an_unknown_form_is_refused(self, api: Api, maps: str) -> None:
        refused = ask(api, "POST", maps, b"name: one", form="text/plain")
        assert (refused.code, refused.reason) == (415, "UnsupportedMediaType")

    def test_one_of_many_who_create_an_object_at_once_has_made_it(self, api: Api, maps: str) -> None:
        with ThreadPoolExecutor(8) as pool:
            codes = list(pool.map(lambda _: ask(api, "POST", maps, config_map("one")).code, range(16)))
        assert sorted(codes) == [201, *[409] * 15]

    def test_a_dry_run_answers_as_if_and_keeps_nothing(self, api: Api, maps: str) -> None:
        made = ask(api, "POST", maps, config_map("one"), dryRun="All")
        assert made.code == 201
        assert ask(api, "GET", f"{maps}/one").code == 404

    def test_a_dry_run_finds_conflicts(self, api: Api, maps: str) -> None:
        ask(api, "POST", maps, config_map("one"))
        assert ask(api, "POST", maps, config_map("one"), dryRun="All").reason == "AlreadyExists"

    def test_a_dry_run_of_another_sort_is_invalid(self, api: Api, maps: str) -> None:
        assert ask(api, "POST", maps, config_map("one"), dryRun="Some").code == 422

    def test_an_object_is_not_created_at_its_own_path(self, api: Api, maps: str) -> None:
        assert ask(api, "POST", f"{maps}/one", config_map("one")).code == 405

    @pytest.mark.parametrize("name", ["Upper", "under_score", "-first", "last-", "dot..dot", "a" * 254])
    def test_a_name_that_is_no_subdomain_is_invalid(self, api: Api, maps: str, name: str) -> None:
        refused = ask(api, "POST", maps, config_map(name))
        assert (refused.code, refused.reason) == (422, "Invalid")
        assert "metadata.name" in refused.fields

    def test_a_name_may_have_253_characters(self, api: Api, maps: str) -> None:
        assert ask(api, "POST", maps, config_map("a" * 253), dryRun="All").code == 201

    @pytest.mark.parametrize("name", ["a" * 64, "with.dot"])
    def test_names_of_namespaces_and_services_are_labels(self, api: Api, namespace: str, name: str) -> None:
        made = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
        assert ask(api, "POST", "/api/v1/namespaces", made, dryRun="All").code == 422
        assert ask(api, "POST", f"/api/v1/namespaces/{namespace}/services", service(name)).code == 422

    @pytest.mark.parametrize(("key", "value"), [("a b", "x"), ("a", "x y"), ("a", "x" * 64), ("UP.example/a/b", "x")])
    def test_a_label_that_is_none_is_invalid(self, api: Api, maps: str, key: str, value: str) -> None:
        refused = ask(api, "POST", maps, config_map("one", labels={key: value}))
        assert (refused.code, refused.reason) == (422, "Invalid")
        assert refused.fields == {"metadata.labels"}

    def test_keys_of_a_config_map_are_names_of_files(self, api: Api, maps: str) -> None:
        refused = ask(api, "POST", maps, config_map("one", {"a b": "v"}))
        assert (refused.code, refused.reason) == (422, "Invalid")

    def test_a_number_for_a_text_cannot_be_read(self, api: Api, maps: str, pods: str) -> None:
        assert ask(api, "POST", maps, config_map("one", {"k": 1})).code == 400
        wrong = pod("one")
        wrong["spec"]["containers"][0]["env"] = [{"name": "N", "value": 1}]
        assert ask(api, "POST", pods, wrong).code == 400

    def test_a_pod_needs_containers_with_images(self, api: Api, pods: str) -> None:
        none = pod("one")
        none["spec"]["containers"] = []
        refused = ask(api, "POST", pods, none)
        assert (refused.code, refused.reason) == (422, "Invalid")
        assert "spec.containers" in refused.fields
        bare = pod("one")
        del bare["spec"]["containers"][0]["image"]
        assert "spec.containers[0].image" in ask(api, "POST", pods, bare).fields

    def test_two_containers_of_a_name_are_invalid(self, api: Api, pods: str) -> None:
        double = pod("one")
        double["spec"]["containers"] = [container(), container()]
        assert "spec.containers[1].name" in ask(api, "POST", pods, double).fields

    def test_a_size_that_is_none_cannot_be_read(self, api: Api, pods: str) -> None:
        wrong = pod("one")
        wrong["spec"]["containers"][0]["resources"] = {"requests": {"cpu": "lots"}}
        assert ask(api, "POST", pods, wrong).code == 400

    def test_a_job_does_not_restart_forever(self, api: Api, jobs: str) -> None:
        refused = ask(api, "POST", jobs, job("one", restart="Always"))
        assert (refused.code, refused.reason) == (422, "Invalid")
        assert "spec.template.spec.restartPolicy" in refused.fields

    def test_a_deployment_selects_its_own_pods(self, api: Api, deployments: str) -> None:
        wrong = deployment("one")
        wrong["spec"]["selector"] = {"matchLabels": {"app": "other"}}
        refused = ask(api, "POST", deployments, wrong)
        assert (refused.code, refused.reason) == (422, "Invalid")
        assert "spec.template.metadata.labels" in refused.fields

    def test_a_service_needs_ports(self, api: Api, namespace: str) -> None:
        wrong = service("one")
        wrong["spec"]["ports"] = []
        refused = ask(api, "POST", f"/api/v1/namespaces/{namespace}/services", wrong)
        assert (refused.code, refused.fields) == (422, {"spec.ports"})

    def test_defaults_are_filled_in(self, api: Api, namespace: str, pods: str) -> None:
        made = ask(api, "POST", f"/api/v1/namespaces/{namespace}/services", service("one")).body["spec"]
        assert made["ports"] == [{"port": 80, "protocol": "TCP", "targetPort": 80}]
        assert made["clusterIP"]
        spec = ask(api, "POST", pods, pod("one")).body["spec"]
        assert (spec["restartPolicy"], spec["terminationGracePeriodSeconds"]) == ("Always", 30)
        assert spec["containers"][0]["imagePullPolicy"] == "IfNotPresent"

    def test_a_jobs_pods_carry_its_labels(self, api: Api, jobs: str) -> None:
        made = ask(api, "POST", jobs, job("one")).body
        labels = made["spec"]["template"]["metadata"]["labels"]
        assert labels["batch.kubernetes.io/job-name"] == "one"
        assert labels["batch.kubernetes.io/controller-uid"] == made["metadata"]["uid"]


class Replacing:
    def test_a_replaced_object_is_as_it_was_sent(self, api: Api, maps: str) -> None:
        first = ask(api, "POST", maps, config_map("one", {"k": "v", "l": "w"})).body
        found = ask(api, "PUT", f"{maps}/one", config_map("one", {"k": "x"}))
        assert found.code == 200
        assert found.body["data"] == {"k": "x"}
        assert found.body["metadata"]["uid"] == first["metadata"]["uid"]
        assert found.body["metadata"]["resourceVersion"] != first["metadata"]["resourceVersion"]

    def test_what_was_read_before_anothers_change_is_not_taken(self, api: Api, maps: str) -> None:
        old = ask(api, "POST", maps, config_map("one")).body
        ask(api, "PUT", f"{maps}/one", config_map("one", {"k": "v"}))
        refused = ask(api, "PUT", f"{maps}/one", {**old, "data": {"k": "w"}})
        assert (refused.code, refused.reason) == (409, "Conflict")
        assert ask(api, "GET", f"{maps}/one").body["data"] == {"k": "v"}

    def test_an_object_that_is_not_there_is_not_replaced(self, api: Api, maps: str) -> None:
        assert ask(api, "PUT", f"{maps}/one", config_map("one")).code == 404

    def test_the_name_of_the_body_is_that_of_the_path(self, api: Api, maps: str) -> None:
        ask(api, "POST", maps, config_map("one"))
        refused = ask(api, "PUT", f"{maps}/one", config_map("two"))
        assert (refused.code, refused.reason) == (400, "BadRequest")

    def test_another_object_of_the_name_is_a_conflict(self, api: Api, maps: str) -> None:
        ask(api, "POST", maps, config_map("one"))
        other = config_map("one", uid="11111111-2222-3333-4444-555555555555")
        assert ask(api, "PUT", f"{maps}/one", other).code == 409

    def test_a_change_that_changes_nothing_is_none(self, api: Api, maps: str) -> None:
        first = ask(api, "POST", maps, config_map("one", {"k": "v"})).body
        again = ask(api, "PUT", f"{maps}/one", first).body
        assert again["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]

    def test_no_change_of_many_who_change_an_object_at_once_is_lost(self, api: Api, maps: str) -> None:
        ask(api, "POST", maps, config_map("one", {"count": "0"}))

        def add(_: int) -> None:
            while True:
                found = ask(api, "GET", f"{maps}/one").body
                found["data"]["count"] = str(int(found["data"]["count"]) + 1)
                code = ask(api, "PUT", f"{maps}/one", found).code
                if code == 200:
                    return
                assert code == 409

        with ThreadPoolExecutor(6) as pool:
            list(pool.map(add, range(12)))
        assert ask(api, "GET", f"{maps}/one").body["data"] == {"count": "12"}

    def test_patches_of_many_at_once_all_come_to_be(self, api: Api, maps: str) -> None:
        ask(api, "POST", maps, config_map("one"))

        def put(number: int) -> int:
            return ask(api, "PATCH", f"{maps}/one", {"data": {f"k{number}": "v"}}, form=MERGE).code

        with ThreadPoolExecutor(4) as pool:
            assert set(pool.map(put, range(12))) == {200}
        assert len(ask(api, "GET", f"{maps}/one").body["data"]) == 12

    def test_a_generation_counts_changes_of_the_spec_alone(self, api: Api, deployments: str) -> None:
        made = ask(api, "POST", deployments, deployment("one")).body
        assert made["metadata"]["generation"] == 1
        labelled = {"metadata": {"labels": {"a": "b"}}}
        same = ask(api, "PATCH", f"{deployments}/one", labelled, form=MERGE).body
        assert same["metadata"]["generation"] == 1
        changed = {"spec": {"minReadySeconds": 1}}
        later = ask(api, "PATCH", f"{deployments}/one", changed, form=MERGE).body
        assert later["metadata"]["generation"] == 2

    def test_status_is_changed_at_its_own_path_alone(self, api: Api, pods: str) -> None:
        ask(api, "POST", pods, pod("one"))
        change = {"spec": {"priority": 5}, "status": {"message": "told"}}
        found = ask(api, "PATCH", f"{pods}/one/status", change, form=MERGE)
        assert (found.code, found.body["status"]["message"]) == (200, "told")
        assert found.body["spec"].get("priority") != 5
        after = ask(api, "PATCH", f"{pods}/one", {"status": {"message": "other"}}, form=MERGE).body
        assert after["status"]["message"] == "told"

    def test_a_pod_stays_what_it_is(self, api: Api, pods: str) -> None:
        ask(api, "POST", pods, pod("one"))
        refused = ask(api, "PATCH", f"{pods}/one", {"spec": {"restartPolicy": "Never"}}, form=MERGE)
        assert (refused.code, refused.reason) == (422, "Invalid")

    def test_an_immutable_config_map_stays_as_it_is(self, api: Api, maps: str) -> None:
        ask(api, "POST", maps, {**config_map("one", {"k": "v"}), "immutable": True})
        refused = ask(api, "PATCH", f"{maps}/one", {"data": {"k": "w"}}, form=MERGE)
        assert (refused.code, refused.reason) == (422, "Invalid")

    def test_a_deployments_selector_stays(self, api: Api, deployments: str) -> None:
        ask(api, "POST", deployments, deployment("one"))
        labels = {"app": "two"}
        change = {"spec": {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}}}}
        refused = ask(api, "PATCH", f"{deployments}/one", change, form=MERGE)
        assert (refused.code, refused.fields) == (422, {"spec.selector"})

    def test_a_jobs_containers_stay(self, api: Api, jobs: str) -> None:
        ask(api, "POST", jobs, job("one"))
        change = {"spec": {"template": {"spec": {"containers": [container(image="other:1")]}}}}
        refused = ask(api, "PATCH", f"{jobs}/one", change, form=MERGE)
        assert (refused.code, refused.reason) == (422, "Invalid")

    def test_scale_is_a_part_of_a_deployment(self, api: Api, deployments: str) -> None:
        ask(api, "POST", deployments, deployment("one"))
        before = ask(api, "GET", f"{deployments}/one/scale").body
        assert (before["kind"], before["apiVersion"]) == ("Scale", "autoscaling/v1")
        assert before["spec"].get("replicas", 0) == 0
        change = {"spec": {"replicas": 0}}
        assert ask(api, "PATCH", f"{deployments}/one/scale", change, form=MERGE).code == 200


class Patching:
    def test_a_merge_patch_sets_and_takes_away(self, api: Api, maps: str) -> None:
        ask(api, "POST", maps, config_map("one", {"k": "v", "l": "w"}))
        found = ask(api, "PATCH", f"{maps}/one", {"data": {"k": None, "m": "x"}}, form=MERGE)
        assert (found.code, found.body["data"]) == (200, {"l": "w", "m": "x"})

    def test_what_is_not_there_is_not_patched(self, api: Api, maps: str) -> None:
        assert ask(api, "PATCH", f"{maps}/one", {"data": {"k": "v"}}, form=MERGE).code == 404

    def test_a_patch_with_an_old_version_is_a_conflict(self, api: Api, maps: str) -> None:
        old = ask(api, "POST", maps, config_map("one")).body["metadata"]["resourceVersion"]
        ask(api, "PATCH", f"{maps}/one", {"data": {"k": "v"}}, form=MERGE)
        change = {"metadata": {"resourceVersion": old}, "data": {"k": "w"}}
        assert ask(api, "PATCH", f"{maps}/one", change, form=MERGE).reason == "Conflict"

    def test_a_json_patch_does_its_steps_in_order(self, api: Api, maps: str) -> None:
        ask(api, "POST", maps, config_map("one", {"k": "v"}))
        steps = [
            {"op": "test", "path": "/data/k", "value": "v"},
            {"op": "add", "path": "/data/l", "value": "w"},
            {"op": "replace", "path": "/data/l", "value": "x"},
            {"op": "remove", "path": "/data/k"},
        ]
        found = ask(api, "PATCH", f"{maps}/one", steps, form=PATCH)
        assert (found.code, found.body["data"]) == (200, {"l": "x"})

    def test_a_json_patch_whose_test_fails_changes_nothing(self, api: Api, maps: str) -> None:
        ask(api, "POST", maps, config_map("one", {"k": "v"}))
        steps = [
            {"op": "remove", "path": "/data/k"},
            {"op": "test", "path": "/data/k", "value": "v"},
        ]
        assert ask(api, "PATCH", f"{maps}/one", steps, form=PATCH).code == 422
        assert ask(api, "GET", f"{maps}/one").body["data"] == {"k": "v"}

    def test_a_strategic_patch_finds_containers_by_name(self, api: Api, deployments: str) -> None:
        ask(api, "POST", deployments, deployment("one", container("main"), container("side")))
        change = _containers({"name": "side", "env": [{"name": "A", "value": "1"}]})
        spec = ask(api, "PATCH", f"{deployments}/one", change, form=STRATEGIC).body["spec"]["template"]["spec"]
        assert {each["name"] for each in spec["containers"]} == {"main", "side"}
        side = next(each for each in spec["containers"] if each["name"] == "side")
        assert (side["image"], side["env"]) == ("registry.example/none:1", [{"name": "A", "value": "1"}])
        change = _containers({"name": "side", "$patch": "delete"})
        spec = ask(api, "PATCH", f"{deployments}/one", change, form=STRATEGIC).body["spec"]["template"]["spec"]
        assert [each["name"] for each in spec["containers"]] == ["main"]

    def test_a_merge_patch_replaces_lists(self, api: Api, deployments: str) -> None:
        ask(api, "POST", deployments, deployment("one", container("main"), container("side")))
        spec = ask(api, "PATCH", f"{deployments}/one", _containers(container("new")), form=MERGE).body["spec"]
        assert [each["name"] for each in spec["template"]["spec"]["containers"]] == ["new"]

    def test_a_patch_of_an_unknown_form_is_refused(self, api: Api, maps: str) -> None:
        ask(api, "POST", maps, config_map("one"))
        refused = ask(api, "PATCH", f"{maps}/one", {"data": {}}, form="application/json")
        assert (refused.code, refused.reason) == (415, "UnsupportedMediaType")

    def test_only_an_apply_can_be_forced(self, api: Api, maps: str) -> None:
        ask(api, "POST", maps, config_map("one"))
        refused = ask(api, "PATCH", f"{maps}/one", {"data": {"k": "v"}}, form=MERGE, force="true")
        assert (refused.code, refused.fields) == (422, {"force"})
        unnamed = ask(api, "PATCH", f"{maps}/one", config_map("one"), form=APPLY)
        assert (unnamed.code, unnamed.fields) == (422, {"fieldManager"})


def _containers(*containers: dict[str, Any]) -> dict[str, Any]:
    return {"spec": {"template": {"spec": {"containers": list(containers)}}}}


def _made(api: Api, place: str, manifest: dict[str, Any]) -> dict[str, Any]:
    """A new object, as soon as what it refers to is known."""
    answer = ask(api, "POST", place, manifest)
    return answer.body if answer.code == 201 else {}
