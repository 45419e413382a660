"""What any API server promises of server-side apply and of who owns which field (KEP-555)."""

from __future__ import annotations

from typing import Any

from plimsoll.kubernetes.api import FIELD_MANAGER, Api
from tests.kubernetes.asking import APPLY, Answer, Manifest, ask, config_map, container, deployment, pod


def apply(api: Api, place: str, manifest: Manifest, manager: str = "first", **parameters: str) -> Answer:
    where = f"{place}/{manifest['metadata']['name']}"
    return ask(api, "PATCH", where, manifest, form=APPLY, fieldManager=manager, **parameters)


def owned(manifest: Manifest, manager: str, operation: str = "Apply") -> Manifest:
    """The fields of a manager; empty when it has none."""
    entries: list[Manifest] = manifest["metadata"].get("managedFields", [])
    found = [each for each in entries if (each["manager"], each["operation"]) == (manager, operation)]
    assert len(found) < 2, found
    fields: Manifest = found[0]["fieldsV1"] if found else {}
    return fields


def _template(manifest: Manifest) -> Any:
    return manifest["spec"]["template"]["spec"]


class Applying:
    def test_the_first_apply_creates_and_the_next_ones_change(self, api: Api, maps: str) -> None:
        assert apply(api, maps, config_map("one", {"k": "v"})).code == 201
        again = apply(api, maps, config_map("one", {"k": "w"}))
        assert (again.code, again.body["data"]) == (200, {"k": "w"})

    def test_who_applies_owns_what_it_applies(self, api: Api, maps: str) -> None:
        found = apply(api, maps, config_map("one", {"k": "v"}, labels={"a": "b"})).body
        fields = owned(found, "first")
        assert fields == {"f:data": {"f:k": {}}, "f:metadata": {"f:labels": {"f:a": {}}}}
        entry = found["metadata"]["managedFields"][0]
        assert (entry["apiVersion"], entry["fieldsType"]) == ("v1", "FieldsV1")
        assert entry["time"]

    def test_the_client_applies_under_its_own_name(self, api: Api, namespace: str) -> None:
        found = api.apply(config_map("one", {"k": "v"}, namespace=namespace))
        assert owned(found, FIELD_MANAGER) == {"f:data": {"f:k": {}}}

    def test_an_apply_of_the_same_changes_nothing(self, api: Api, maps: str) -> None:
        first = apply(api, maps, config_map("one", {"k": "v"})).body
        again = apply(api, maps, config_map("one", {"k": "v"})).body
        assert again["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]

    def test_what_is_applied_no_longer_goes(self, api: Api, maps: str) -> None:
        apply(api, maps, config_map("one", {"k": "v", "l": "w"}, labels={"a": "b"}))
        found = apply(api, maps, config_map("one", {"k": "v"})).body
        assert found["data"] == {"k": "v"}
        assert "a" not in found["metadata"].get("labels", {})

    def test_fields_of_others_stay(self, api: Api, maps: str) -> None:
        apply(api, maps, config_map("one", {"k": "v"}))
        apply(api, maps, config_map("one", {"l": "w"}), manager="second")
        found = apply(api, maps, config_map("one", {"k": "x"})).body
        assert found["data"] == {"k": "x", "l": "w"}
        assert owned(found, "second") == {"f:data": {"f:l": {}}}

    def test_another_value_for_a_field_of_another_is_a_conflict(self, api: Api, maps: str) -> None:
        apply(api, maps, config_map("one", {"k": "v"}))
        refused = apply(api, maps, config_map("one", {"k": "w"}), manager="second")
        assert (refused.code, refused.reason) == (409, "Conflict")
        (cause,) = refused.causes
        assert (cause["reason"], cause["field"]) == ("FieldManagerConflict", ".data.k")
        assert '"first"' in cause["message"]
        assert ask(api, "GET", f"{maps}/one").body["data"] == {"k": "v"}

    def test_every_field_in_conflict_is_a_cause(self, api: Api, maps: str) -> None:
        apply(api, maps, config_map("one", {"k": "v", "l": "w"}))
        refused = apply(api, maps, config_map("one", {"k": "x", "l": "x"}), manager="second")
        assert refused.fields == {".data.k", ".data.l"}
        assert "2 conflicts" in refused.body["message"]

    def test_the_same_value_is_owned_together(self, api: Api, maps: str) -> None:
        apply(api, maps, config_map("one", {"k": "v"}))
        found = apply(api, maps, config_map("one", {"k": "v"}), manager="second")
        assert found.code == 200
        assert owned(found.body, "first") == owned(found.body, "second") == {"f:data": {"f:k": {}}}
        left = apply(api, maps, config_map("one"), manager="second").body
        assert left["data"] == {"k": "v"}
        assert "data" not in apply(api, maps, config_map("one")).body

    def test_force_takes_a_field_over(self, api: Api, maps: str) -> None:
        apply(api, maps, config_map("one", {"k": "v", "l": "w"}))
        found = apply(api, maps, config_map("one", {"k": "x"}), manager="second", force="true")
        assert (found.code, found.body["data"]) == (200, {"k": "x", "l": "w"})
        assert owned(found.body, "second") == {"f:data": {"f:k": {}}}
        assert owned(found.body, "first") == {"f:data": {"f:l": {}}}

    def test_what_was_created_otherwise_is_owned_by_its_creator(self, api: Api, maps: str) -> None:
        ask(api, "POST", maps, config_map("one", {"k": "v"}), fieldManager="maker")
        refused = apply(api, maps, config_map("one", {"k": "w"}))
        assert (refused.code, refused.fields) == (409, {".data.k"})
        assert '"maker"' in refused.causes[0]["message"]
        found = apply(api, maps, config_map("one", {"k": "w"}), force="true").body
        assert "f:k" not in owned(found, "maker", "Update").get("f:data", {})

    def test_a_plain_change_takes_fields_without_asking(self, api: Api, maps: str) -> None:
        apply(api, maps, config_map("one", {"k": "v", "l": "w"}))
        form = "application/merge-patch+json"
        found = ask(api, "PATCH", f"{maps}/one", {"data": {"k": "x"}}, form=form, fieldManager="changer").body
        assert owned(found, "changer", "Update") == {"f:data": {"f:k": {}}}
        assert owned(found, "first") == {"f:data": {"f:l": {}}}

    def test_a_creator_does_not_own_what_the_server_says_of_the_state(self, api: Api, namespace: str) -> None:
        place = f"/api/v1/namespaces/{namespace}/pods"
        found = ask(api, "POST", place, pod("one"), fieldManager="maker").body
        fields = owned(found, "maker", "Update")
        assert "f:spec" in fields
        assert "f:status" not in fields
        main = 'k:{"name":"main"}'
        assert fields["f:spec"]["f:containers"][main]["f:image"] == {}
        changed = {"status": {"message": "told"}}
        form = "application/merge-patch+json"
        found = ask(api, "PATCH", f"{place}/one/status", changed, form=form, fieldManager="teller").body
        assert owned(found, "teller", "Update") == {"f:status": {"f:message": {}}}
        (entry,) = [each for each in found["metadata"]["managedFields"] if each["manager"] == "teller"]
        assert entry["subresource"] == "status"

    def test_containers_are_merged_by_name(self, api: Api, deployments: str) -> None:
        apply(api, deployments, deployment("one", container("main")))
        side = {"spec": {"template": {"spec": {"containers": [container("side")]}}}}
        other = {**deployment("one"), **side}
        found = apply(api, deployments, other, manager="second").body
        assert {each["name"] for each in _template(found)["containers"]} == {"main", "side"}
        left = apply(api, deployments, {**other, "spec": {}}, manager="second").body
        assert [each["name"] for each in _template(left)["containers"]] == ["main"]

    def test_variables_and_ports_of_a_container_are_merged_by_their_keys(self, api: Api, deployments: str) -> None:
        mine = container(env=[{"name": "A", "value": "1"}], ports=[{"containerPort": 80}])
        apply(api, deployments, deployment("one", mine))
        theirs = {"name": "main", "env": [{"name": "B", "value": "2"}], "ports": [{"containerPort": 81}]}
        spec = {"template": {"spec": {"containers": [theirs]}}}
        found = apply(api, deployments, {**deployment("one"), "spec": spec}, manager="second").body
        (main,) = _template(found)["containers"]
        assert {each["name"] for each in main["env"]} == {"A", "B"}
        assert {each["containerPort"] for each in main["ports"]} == {80, 81}
        left = apply(api, deployments, deployment("one"), manager="first").body
        (main,) = _template(left)["containers"]
        assert [each["name"] for each in main["env"]] == ["B"]
        assert [each["containerPort"] for each in main["ports"]] == [81]

    def test_an_argument_list_is_one_value(self, api: Api, deployments: str) -> None:
        apply(api, deployments, deployment("one", container(args=["a", "b"])))
        found = apply(api, deployments, deployment("one", container(args=["c"]))).body
        assert _template(found)["containers"][0]["args"] == ["c"]
        refused = apply(api, deployments, deployment("one", container(args=["d"])), manager="second")
        assert refused.code == 409
        assert any(each.endswith(".args") for each in refused.fields)

    def test_the_server_alone_writes_who_owns_what(self, api: Api, maps: str) -> None:
        given = config_map("one", {"k": "v"}, managedFields=[{"manager": "x", "operation": "Apply"}])
        assert apply(api, maps, given).code == 400

    def test_an_apply_with_another_name_is_refused(self, api: Api, maps: str) -> None:
        refused = ask(api, "PATCH", f"{maps}/one", config_map("two"), form=APPLY, fieldManager="first")
        assert refused.code == 400

    def test_an_apply_can_be_tried(self, api: Api, maps: str) -> None:
        assert apply(api, maps, config_map("one", {"k": "v"}), dryRun="All").code == 201
        assert ask(api, "GET", f"{maps}/one").code == 404
        apply(api, maps, config_map("one", {"k": "v"}))
        tried = apply(api, maps, config_map("one", {"k": "w"}), dryRun="All").body
        assert tried["data"] == {"k": "w"}
        assert ask(api, "GET", f"{maps}/one").body["data"] == {"k": "v"}

    def test_what_is_applied_is_checked(self, api: Api, deployments: str) -> None:
        wrong = deployment("one")
        wrong["spec"]["selector"] = {"matchLabels": {"app": "other"}}
        refused = apply(api, deployments, wrong)
        assert (refused.code, refused.reason) == (422, "Invalid")
