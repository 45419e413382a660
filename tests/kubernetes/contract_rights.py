"""What any API server promises of rights, of quotas, and of kinds that are defined in it."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from typing import Any

import pytest

from plimsoll.kubernetes.api import Api
from tests.kubernetes.asking import APPLY, MERGE, STRATEGIC, Answer, Manifest, ask, config_map, pod, service, until
from tests.kubernetes.contract_applying import apply

REVIEWS = "/apis/authorization.k8s.io/v1"
SOMEBODY = {"Impersonate-User": "plimsoll-contract-somebody"}
RBAC = "rbac.authorization.k8s.io"


def may(api: Api, headers: dict[str, str], **attributes: str) -> bool:
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": attributes},
    }
    answer = ask(api, "POST", f"{REVIEWS}/selfsubjectaccessreviews", review, headers=headers)
    assert answer.code == 201, answer
    return bool(answer.body["status"]["allowed"])


class Rights:
    def test_a_token_that_nobody_knows_is_refused(self, api: Api) -> None:
        refused = ask(api, "GET", "/api/v1/nodes", headers={"Authorization": "Bearer none"})
        assert (refused.code, refused.reason) in {(401, "Unauthorized"), (200, "")}

    def test_who_has_no_right_is_told_which(self, api: Api, maps: str, namespace: str) -> None:
        refused = ask(api, "GET", "/api/v1/nodes", headers=SOMEBODY)
        assert (refused.code, refused.reason) == (403, "Forbidden")
        words = 'User "plimsoll-contract-somebody" cannot list resource "nodes" in API group "" at the cluster scope'
        assert words in refused.body["message"]
        refused = ask(api, "GET", f"{maps}/one", headers=SOMEBODY)
        words = f'cannot get resource "configmaps" in API group "" in the namespace "{namespace}"'
        assert words in refused.body["message"]

    def test_everybody_may_ask_what_is_served_and_what_they_may(self, api: Api) -> None:
        assert ask(api, "GET", "/apis", headers=SOMEBODY).code == 200
        assert not may(api, SOMEBODY, verb="list", resource="nodes")
        assert may(api, {}, verb="list", resource="nodes")

    def test_a_role_gives_what_it_says_where_it_is_bound(self, api: Api, maps: str, namespace: str) -> None:
        rules = [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list"]}]
        role = {"apiVersion": f"{RBAC}/v1", "kind": "Role", "metadata": {"name": "reader"}, "rules": rules}
        place = f"/apis/{RBAC}/v1/namespaces/{namespace}"
        assert ask(api, "POST", f"{place}/roles", role).code == 201
        binding = {
            "apiVersion": f"{RBAC}/v1",
            "kind": "RoleBinding",
            "metadata": {"name": "reader"},
            "roleRef": {"apiGroup": RBAC, "kind": "Role", "name": "reader"},
            "subjects": [{"apiGroup": RBAC, "kind": "User", "name": SOMEBODY["Impersonate-User"]}],
        }
        assert ask(api, "POST", f"{place}/rolebindings", binding).code == 201
        until(lambda: ask(api, "GET", maps, headers=SOMEBODY).code == 200)
        assert ask(api, "POST", maps, config_map("one"), headers=SOMEBODY).code == 403
        assert ask(api, "GET", "/api/v1/configmaps", headers=SOMEBODY).code == 403
        assert may(api, SOMEBODY, verb="get", resource="configmaps", namespace=namespace)
        assert not may(api, SOMEBODY, verb="delete", resource="configmaps", namespace=namespace)
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectRulesReview",
            "spec": {"namespace": namespace},
        }
        told = ask(api, "POST", f"{REVIEWS}/selfsubjectrulesreviews", review, headers=SOMEBODY).body["status"]
        assert rules[0] in [{key: each.get(key) for key in rules[0]} for each in told["resourceRules"]]

    def test_a_token_that_nobody_knows_is_nobodys(self, api: Api) -> None:
        review = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": "none"}}
        path = "/apis/authentication.k8s.io/v1/tokenreviews"
        answer = ask(api, "POST", path, review)
        assert (answer.code, answer.body["status"].get("authenticated", False)) == (201, False)
        assert ask(api, "POST", path, review, headers=SOMEBODY).code == 403

    def test_what_somebody_may_in_a_namespace_is_told_to_who_may_ask(self, api: Api, namespace: str) -> None:
        user = "plimsoll-contract-somebody"
        rule = {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"]}
        bind(api, namespace, "reviewed", rule)

        def asked(verb: str, place: str = namespace, **headers: str) -> Answer:
            attributes = {"verb": verb, "resource": "configmaps", "namespace": place}
            review = {
                "apiVersion": "authorization.k8s.io/v1",
                "kind": "LocalSubjectAccessReview",
                "metadata": {"namespace": namespace},
                "spec": {"user": user, "groups": ["system:authenticated"], "resourceAttributes": attributes},
            }
            path = f"{REVIEWS}/namespaces/{namespace}/localsubjectaccessreviews"
            return ask(api, "POST", path, review, headers=headers)

        until(lambda: asked("get").body["status"]["allowed"])
        assert not asked("delete").body["status"]["allowed"]
        assert asked("get", "default").code == 422
        assert asked("get", **SOMEBODY).code == 403

    def test_rights_in_a_namespace_are_rights_on_it(self, api: Api, namespace: str) -> None:
        assert ask(api, "GET", f"/api/v1/namespaces/{namespace}", headers=SOMEBODY).code == 403
        bind(api, namespace, "looker", {"apiGroups": [""], "resources": ["namespaces"], "verbs": ["get"]})
        until(lambda: ask(api, "GET", f"/api/v1/namespaces/{namespace}", headers=SOMEBODY).code == 200)
        assert ask(api, "GET", "/api/v1/namespaces/default", headers=SOMEBODY).code == 403

    def test_what_is_applied_and_not_there_takes_the_right_to_create(self, api: Api, maps: str, namespace: str) -> None:
        there, absent = config_map("there", {"a": "1"}), config_map("absent", {"a": "1"})
        apply(api, maps, there)
        bind(api, namespace, "patcher", {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["patch"]})
        form: dict[str, Any] = {
            "form": APPLY,
            "headers": SOMEBODY,
            "fieldManager": "plimsoll-contract",
            "force": "true",
        }
        until(lambda: ask(api, "PATCH", f"{maps}/there", there, **form).code == 200)
        refused = ask(api, "PATCH", f"{maps}/absent", absent, **form)
        assert refused.code == 403
        assert 'cannot create resource "configmaps"' in refused.body["message"]

    def test_who_asks_who_they_are_is_told(self, api: Api) -> None:
        review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
        place = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
        told = ask(api, "POST", place, review, headers=SOMEBODY).body
        assert told["status"]["userInfo"]["username"] == SOMEBODY["Impersonate-User"]

    def test_a_quota_refuses_one_too_many(self, api: Api, namespace: str) -> None:
        quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "few"}}
        place = f"/api/v1/namespaces/{namespace}"
        ask(api, "POST", f"{place}/resourcequotas", {**quota, "spec": {"hard": {"services": "1"}}})

        def counted() -> Manifest:
            found = ask(api, "GET", f"{place}/resourcequotas/few").body
            status: Manifest = found.get("status", {})
            return status.get("used", {}) if status.get("hard") else {}

        assert until(counted) == {"services": "0"}
        assert ask(api, "POST", f"{place}/services", service("one")).code == 201
        # The quota's own copy of what is used may be a moment old; a try keeps nothing.
        until(lambda: ask(api, "POST", f"{place}/services", service("two"), dryRun="All").code == 403)
        refused = ask(api, "POST", f"{place}/services", service("two"))
        assert (refused.code, refused.reason) == (403, "Forbidden")
        assert "exceeded quota: few" in refused.body["message"]
        until(lambda: counted() == {"services": "1"})

    def test_a_quota_counts_what_pods_request(self, api: Api, pods: str, namespace: str) -> None:
        make_quota(api, namespace, hard={"requests.cpu": "1"})

        def attempt(amount: str) -> Answer:
            made = pod("one")
            made["spec"]["containers"][0]["resources"] = {"requests": {"cpu": amount}} if amount else {}
            return ask(api, "POST", pods, made, dryRun="All")

        until(lambda: attempt("2").code == 403)
        assert (
            "exceeded quota: few, requested: requests.cpu=2, used: requests.cpu=0, limited: requests.cpu=1"
            in (attempt("2").body["message"])
        )
        assert attempt("500m").code == 201
        assert "must specify requests.cpu" in attempt("").body["message"]

    def test_a_quota_of_a_scope_counts_the_pods_of_the_scope_alone(self, api: Api, pods: str, namespace: str) -> None:
        scope = [
            {"scopeName": "PriorityClass", "operator": "Exists"},
            {"scopeName": "PriorityClass", "operator": "NotIn", "values": ["system-node-critical"]},
        ]
        make_quota(api, namespace, hard={"pods": "0"}, scopeSelector={"matchExpressions": scope})

        def attempt(priority: str) -> Answer:
            made = pod("one")
            made["spec"] |= {"priorityClassName": priority} if priority else {}
            return ask(api, "POST", pods, made, dryRun="All")

        until(lambda: attempt("system-cluster-critical").code == 403)
        assert "exceeded quota: few" in attempt("system-cluster-critical").body["message"]
        assert attempt("system-node-critical").code == 201
        assert attempt("").code == 201

    def test_a_limit_range_has_containers_request_what_they_do_not_say(
        self, api: Api, pods: str, namespace: str
    ) -> None:
        limits = [{"type": "Container", "defaultRequest": {"cpu": "50m"}}]
        bound = {"apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "small"}, "spec": {"limits": limits}}
        ask(api, "POST", f"/api/v1/namespaces/{namespace}/limitranges", bound)

        def requested() -> Manifest:
            made: Manifest = ask(api, "POST", pods, pod("one"), dryRun="All").body["spec"]["containers"][0]
            return made.get("resources") or {}

        assert until(requested) == {"requests": {"cpu": "50m"}}

    def test_nobody_gives_away_a_right_that_they_do_not_have(self, api: Api, namespace: str) -> None:
        bind(
            api, namespace, "giver", {"apiGroups": [RBAC], "resources": ["roles", "rolebindings"], "verbs": ["create"]}
        )
        place = f"/apis/{RBAC}/v1/namespaces/{namespace}"
        rules = [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}]
        strong = {"apiVersion": f"{RBAC}/v1", "kind": "Role", "metadata": {"name": "strong"}, "rules": rules}
        until(lambda: "attempting to grant" in str(ask(api, "POST", f"{place}/roles", strong, headers=SOMEBODY).body))
        assert ask(api, "POST", f"{place}/roles", strong, headers=SOMEBODY).code == 403
        assert ask(api, "POST", f"{place}/roles", strong).code == 201
        binding = {
            "apiVersion": f"{RBAC}/v1",
            "kind": "RoleBinding",
            "metadata": {"name": "strong"},
            "roleRef": {"apiGroup": RBAC, "kind": "Role", "name": "strong"},
            "subjects": [{"apiGroup": RBAC, "kind": "User", "name": SOMEBODY["Impersonate-User"]}],
        }
        refused = ask(api, "POST", f"{place}/rolebindings", binding, headers=SOMEBODY)
        assert (refused.code, "attempting to grant" in refused.body["message"]) == (403, True)
        weak = [{"apiGroups": [RBAC], "resources": ["roles"], "verbs": ["create"]}]
        own = {**strong, "metadata": {"name": "weak"}, "rules": weak}
        assert ask(api, "POST", f"{place}/roles", own, headers=SOMEBODY).code == 201

    def test_a_token_of_an_account_is_the_account(self, api: Api, namespace: str) -> None:
        place = f"/api/v1/namespaces/{namespace}/serviceaccounts"
        request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest"}
        made = ask(api, "POST", f"{place}/default/token", {**request, "spec": {"expirationSeconds": 600}})
        assert made.code == 201
        acting = api.with_token(made.body["status"]["token"])
        review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
        told = ask(acting, "POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", review).body
        assert told["status"]["userInfo"]["username"] == f"system:serviceaccount:{namespace}:default"
        assert ask(acting, "GET", f"/api/v1/namespaces/{namespace}/pods").code == 403
        acting.close()
        assert ask(api, "POST", f"{place}/none/token", {**request, "spec": {}}).code == 404

    def test_who_acts_as_an_account_or_as_a_group_needs_the_right_to_each(self, api: Api, namespace: str) -> None:
        made = ask(
            api,
            "POST",
            f"/api/v1/namespaces/{namespace}/serviceaccounts/default/token",
            {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 600}},
        )
        acting = api.with_token(made.body["status"]["token"])
        for headers in (
            {"Impersonate-User": f"system:serviceaccount:{namespace}:other"},
            {"Impersonate-User": "ada", "Impersonate-Group": "system:masters"},
        ):
            # Which right is missing is said in other words from 1.37 on: `impersonate-on:user-info:list`.
            refused = ask(acting, "GET", f"/api/v1/namespaces/{namespace}/pods", headers=headers)
            assert (refused.code, "cannot impersonate" in refused.body["message"]) == (403, True), refused
        acting.close()

    def test_the_server_s_own_pages_are_not_for_everybody(self, api: Api) -> None:
        refused = ask(api, "GET", "/metrics", headers=SOMEBODY)
        assert refused.code == 403

    def test_a_pod_needs_an_account_that_is_there(self, api: Api, pods: str) -> None:
        made = pod("one")
        made["spec"]["serviceAccountName"] = "none"
        refused = ask(api, "POST", pods, made)
        assert (refused.code, refused.reason) == (403, "Forbidden")
        assert 'serviceaccount "none" not found' in refused.body["message"]

    def test_a_pod_needs_a_runtime_class_that_is_there(self, api: Api, pods: str) -> None:
        made = pod("one")
        made["spec"]["runtimeClassName"] = "plimsoll-none"
        refused = ask(api, "POST", pods, made)
        assert (refused.code, refused.reason) == (403, "Forbidden")
        assert 'RuntimeClass "plimsoll-none" not found' in refused.body["message"]

    def test_a_limit_range_bounds_what_a_container_asks_for(self, api: Api, pods: str, namespace: str) -> None:
        limits = [{"type": "Container", "max": {"cpu": "100m"}, "default": {"cpu": "50m"}}]
        bound = {"apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "small"}, "spec": {"limits": limits}}
        ask(api, "POST", f"/api/v1/namespaces/{namespace}/limitranges", bound)
        made = pod("one")
        made["spec"]["containers"][0]["resources"] = {"requests": {"cpu": "2"}, "limits": {"cpu": "2"}}

        def refusal() -> Answer | None:
            """The server's own copy of the limits may be a moment old; a try keeps nothing."""
            refused = ask(api, "POST", pods, made, dryRun="All")
            return refused if refused.code == 403 else None

        refused = until(refusal)
        assert refused is not None
        assert "maximum cpu usage per Container is 100m, but " in refused.body["message"]

    def test_a_restricted_namespace_takes_restricted_pods_alone(self, api: Api, pods: str, namespace: str) -> None:
        label = {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}}
        assert ask(api, "PATCH", f"/api/v1/namespaces/{namespace}", label, form=MERGE).code == 200

        def attempt(**context: object) -> Answer:
            made = pod("one")
            made["spec"]["containers"][0]["securityContext"] = context
            return ask(api, "POST", pods, made, dryRun="All")

        until(lambda: attempt().code == 403)
        words = attempt().body["message"]
        assert 'violates PodSecurity "restricted:latest"' in words
        for each in ("allowPrivilegeEscalation != false", "unrestricted capabilities", "runAsNonRoot != true"):
            assert each in words
        allowed: dict[str, object] = {
            "allowPrivilegeEscalation": False,
            "runAsNonRoot": True,
            "capabilities": {"drop": ["ALL"]},
            "seccompProfile": {"type": "RuntimeDefault"},
        }
        assert attempt(**allowed).code == 201
        assert attempt(**{**allowed, "runAsUser": 0}).code == 403
        assert attempt(**{**allowed, "capabilities": {"drop": ["ALL"], "add": ["SYS_ADMIN"]}}).code == 403


class Definitions:
    @pytest.fixture
    def widgets(self, api: Api, namespace: str) -> Iterator[str]:
        """Where the objects of a kind lie that is defined for one test."""
        group = f"{secrets.token_hex(4)}.plimsoll.dev"
        spec = {
            "type": "object",
            "required": ["size"],
            "properties": {
                "size": {"type": "integer", "minimum": 1},
                "colour": {"type": "string", "default": "red", "enum": ["red", "blue"]},
                "parts": {
                    "type": "array",
                    "x-kubernetes-list-type": "map",
                    "x-kubernetes-list-map-keys": ["name"],
                    "items": {
                        "type": "object",
                        "required": ["name"],
                        "properties": {"name": {"type": "string"}, "weight": {"type": "integer"}},
                    },
                },
            },
        }
        status = {"type": "object", "properties": {"told": {"type": "string"}}}
        schema = {"type": "object", "properties": {"spec": spec, "status": status}}
        version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
        definition = {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": f"widgets.{group}"},
            "spec": {
                "group": group,
                "scope": "Namespaced",
                "names": {"plural": "widgets", "singular": "widget", "kind": "Widget", "listKind": "WidgetList"},
                "versions": [{**version, "subresources": {"status": {}}}],
            },
        }
        place = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
        assert ask(api, "POST", place, definition).code == 201
        found = f"/apis/{group}/v1/namespaces/{namespace}/widgets"
        until(lambda: ask(api, "GET", f"/apis/{group}/v1").code == 200 and ask(api, "GET", found).code == 200)
        yield found
        ask(api, "DELETE", f"{place}/widgets.{group}")

    def test_a_defined_kind_is_served(self, api: Api, widgets: str) -> None:
        made = ask(api, "POST", widgets, _widget(widgets, size=2))
        assert made.code == 201, made
        assert made.body["spec"] == {"size": 2, "colour": "red"}
        assert made.body["metadata"]["generation"] == 1
        (item,) = ask(api, "GET", widgets).body["items"]
        assert item["kind"] == "Widget"
        assert api.serves(_version(widgets), "Widget")

    def test_the_schema_decides_what_is_valid_and_what_is_kept(self, api: Api, widgets: str) -> None:
        for wrong, field in (({"size": 0}, "spec.size"), ({"size": "x"}, "spec.size"), ({}, "spec.size")):
            refused = ask(api, "POST", widgets, _widget(widgets, **wrong))
            assert (refused.code, refused.reason) == (422, "Invalid")
            assert field in refused.fields
        assert ask(api, "POST", widgets, _widget(widgets, size=1, colour="green")).fields == {"spec.colour"}
        assert "other" not in ask(api, "POST", widgets, _widget(widgets, size=1, other=1)).body["spec"]

    def test_the_status_of_a_defined_kind_is_apart(self, api: Api, widgets: str) -> None:
        made = ask(api, "POST", widgets, {**_widget(widgets, size=1), "status": {"told": "x"}}).body
        assert "status" not in made
        found = ask(api, "PATCH", f"{widgets}/one/status", {"status": {"told": "y"}}, form=MERGE).body
        assert (found["status"], found["metadata"]["generation"]) == ({"told": "y"}, 1)
        later = ask(api, "PATCH", f"{widgets}/one", {"spec": {"size": 3}, "status": {"told": "z"}}, form=MERGE).body
        assert (later["status"], later["metadata"]["generation"]) == ({"told": "y"}, 2)

    def test_a_defined_kind_is_replaced_by_who_has_read_it(self, api: Api, widgets: str) -> None:
        made = ask(api, "POST", widgets, _widget(widgets, size=1)).body
        refused = ask(api, "PUT", f"{widgets}/one", _widget(widgets, size=2))
        assert (refused.code, refused.fields) == (422, {"metadata.resourceVersion"})
        assert ask(api, "PUT", f"{widgets}/one", {**made, "spec": {"size": 2}}).code == 200

    def test_a_defined_kind_knows_no_strategic_patch(self, api: Api, widgets: str) -> None:
        ask(api, "POST", widgets, _widget(widgets, size=1))
        assert ask(api, "PATCH", f"{widgets}/one", {"spec": {"size": 2}}, form=STRATEGIC).code == 415

    def test_lists_of_a_defined_kind_are_merged_as_the_schema_says(self, api: Api, widgets: str) -> None:
        apply(api, widgets, _widget(widgets, size=1, parts=[{"name": "a", "weight": 1}]))
        theirs = _widget(widgets, parts=[{"name": "b", "weight": 2}])
        found = until(lambda: _applied(api, widgets, theirs))
        assert {each["name"] for each in found["spec"]["parts"]} == {"a", "b"}
        left = apply(api, widgets, _widget(widgets, size=1)).body
        assert left["spec"]["parts"] == [{"name": "b", "weight": 2}]


def make_quota(api: Api, namespace: str, **spec: object) -> None:
    """A quota that is in force: the server has counted what is used."""
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "few"}, "spec": spec}
    place = f"/api/v1/namespaces/{namespace}/resourcequotas"
    assert ask(api, "POST", place, quota).code == 201
    until(lambda: ask(api, "GET", f"{place}/few").body.get("status", {}).get("hard"))


def bind(api: Api, namespace: str, name: str, *rules: Manifest) -> None:
    """Give somebody rights in a namespace."""
    role = {"apiVersion": f"{RBAC}/v1", "kind": "Role", "metadata": {"name": name}, "rules": list(rules)}
    place = f"/apis/{RBAC}/v1/namespaces/{namespace}"
    assert ask(api, "POST", f"{place}/roles", role).code == 201
    binding = {
        "apiVersion": f"{RBAC}/v1",
        "kind": "RoleBinding",
        "metadata": {"name": name},
        "roleRef": {"apiGroup": RBAC, "kind": "Role", "name": name},
        "subjects": [{"apiGroup": RBAC, "kind": "User", "name": SOMEBODY["Impersonate-User"]}],
    }
    assert ask(api, "POST", f"{place}/rolebindings", binding).code == 201


def _applied(api: Api, widgets: str, manifest: Manifest) -> Manifest:
    return apply(api, widgets, manifest, manager="second").body


def _version(widgets: str) -> str:
    return "/".join(widgets.split("/")[2:4])


def _widget(widgets: str, **spec: object) -> Manifest:
    return {"apiVersion": _version(widgets), "kind": "Widget", "metadata": {"name": "one"}, "spec": spec}
