"""What any API server promises of discovery, lists and watches."""

from __future__ import annotations

import threading

import pytest

from plimsoll.kubernetes.api import Api, ApiError
from tests.kubernetes.asking import MERGE, Manifest, ask, config_map, pod, until, watch


class Discovery:
    def test_the_version_is_told(self, api: Api) -> None:
        found = ask(api, "GET", "/version").body
        assert found["gitVersion"].startswith("v")
        assert found["platform"]

    def test_versions_of_the_core_group_are_told(self, api: Api) -> None:
        assert ask(api, "GET", "/api").body["versions"] == ["v1"]

    def test_groups_are_told_with_their_versions(self, api: Api) -> None:
        groups = {each["name"]: each for each in ask(api, "GET", "/apis").body["groups"]}
        assert groups["apps"]["preferredVersion"] == {"groupVersion": "apps/v1", "version": "v1"}
        found = ask(api, "GET", "/apis/apps").body
        assert (found["kind"], found["name"], found["versions"]) == ("APIGroup", "apps", groups["apps"]["versions"])

    def test_kinds_are_told_with_their_names_and_scope(self, api: Api) -> None:
        kinds = {each["name"]: each for each in ask(api, "GET", "/api/v1").body["resources"]}
        assert (kinds["pods"]["kind"], kinds["pods"]["namespaced"]) == ("Pod", True)
        assert (kinds["nodes"]["kind"], kinds["nodes"]["namespaced"]) == ("Node", False)
        assert kinds["pods/log"]["verbs"] == ["get"]
        assert {"get", "list", "watch", "create", "patch", "delete"} <= set(kinds["pods"]["verbs"])

    @pytest.mark.parametrize(
        "path",
        ["/apis/none.example", "/apis/none.example/v1", "/apis/apps/v99", "/api/v1/nothings", "/apis/apps/v1/nothings"],
    )
    def test_what_is_not_served_is_not_found(self, api: Api, path: str) -> None:
        assert ask(api, "GET", path).code == 404

    def test_the_client_knows_what_is_served(self, api: Api) -> None:
        assert api.serves("apps/v1", "Deployment")
        assert not api.serves("apps/v1", "Nothing")
        assert not api.serves("none.example/v1", "Thing")

    def test_the_health_of_the_server_is_told(self, api: Api) -> None:
        assert ask(api, "GET", "/readyz").text == "ok"


class Reading:
    def test_an_object_that_is_not_there_is_named(self, api: Api, maps: str) -> None:
        refused = ask(api, "GET", f"{maps}/none")
        assert (refused.code, refused.reason, refused.body["status"]) == (404, "NotFound", "Failure")
        assert refused.body["details"] == {"name": "none", "kind": "configmaps"}

    def test_the_client_tells_the_servers_words(self, api: Api, namespace: str) -> None:
        with pytest.raises(ApiError, match='configmaps "none" not found') as refused:
            api.get("v1", "ConfigMap", "none", namespace)
        assert (refused.value.status, refused.value.reason) == (404, "NotFound")
        assert api.find("v1", "ConfigMap", "none", namespace) is None

    def test_a_list_is_in_the_order_of_names(self, api: Api, maps: str) -> None:
        for name in ("b", "c", "a"):
            ask(api, "POST", maps, config_map(name, labels={"of": "test"}))
        found = ask(api, "GET", maps, labelSelector="of=test").body
        assert [each["metadata"]["name"] for each in found["items"]] == ["a", "b", "c"]
        assert (found["kind"], found["apiVersion"]) == ("ConfigMapList", "v1")
        assert int(found["metadata"]["resourceVersion"]) > 0

    def test_items_of_kubernetes_own_kinds_do_not_say_what_they_are(self, api: Api, maps: str) -> None:
        ask(api, "POST", maps, config_map("one"))
        assert all("kind" not in each and "apiVersion" not in each for each in ask(api, "GET", maps).body["items"])

    def test_a_namespace_that_is_not_there_has_nothing(self, api: Api) -> None:
        found = ask(api, "GET", "/api/v1/namespaces/plimsoll-contract-none/configmaps")
        assert (found.code, found.body["items"]) == (200, [])

    def test_a_list_of_all_namespaces_has_those_of_each(self, api: Api, maps: str, namespace: str) -> None:
        ask(api, "POST", maps, config_map("one", labels={"of": namespace}))
        found = ask(api, "GET", "/api/v1/configmaps", labelSelector=f"of={namespace}").body["items"]
        assert [each["metadata"]["namespace"] for each in found] == [namespace]

    def test_a_list_comes_page_by_page(self, api: Api, maps: str) -> None:
        for number in range(5):
            ask(api, "POST", maps, config_map(f"n{number}", labels={"of": "test"}))
        names, following, pages = [], "", 0
        while True:
            more = {"continue": following} if following else {}
            page = ask(api, "GET", maps, labelSelector="of=test", limit="2", **more).body
            names += [each["metadata"]["name"] for each in page["items"]]
            pages += 1
            following = page["metadata"].get("continue", "")
            if not following:
                break
        assert (names, pages) == ([f"n{number}" for number in range(5)], 3)

    def test_a_page_tells_how_much_is_left(self, api: Api, maps: str) -> None:
        for number in range(3):
            ask(api, "POST", maps, config_map(f"n{number}"))
        whole = len(ask(api, "GET", maps).body["items"])
        page = ask(api, "GET", maps, limit="2").body["metadata"]
        assert page["remainingItemCount"] == whole - 2

    def test_later_pages_are_of_the_moment_of_the_first(self, api: Api, maps: str) -> None:
        for number in range(3):
            ask(api, "POST", maps, config_map(f"n{number}"))
        page = ask(api, "GET", maps, limit="1").body
        ask(api, "POST", maps, config_map("z"))
        following = page["metadata"]["continue"]
        rest = ask(api, "GET", maps, limit="100", **{"continue": following}).body
        assert "z" not in [each["metadata"]["name"] for each in rest["items"]]
        assert rest["metadata"]["resourceVersion"] == page["metadata"]["resourceVersion"]

    def test_a_token_that_is_none_is_refused(self, api: Api, maps: str) -> None:
        refused = ask(api, "GET", maps, limit="1", **{"continue": "nonsense!"})
        assert (refused.code, refused.reason) == (400, "BadRequest")

    @pytest.mark.parametrize(
        ("selector", "names"),
        [
            ("colour=red", "a"),
            ("colour==red", "a"),
            ("colour!=red", "b c"),
            ("colour in (red, blue)", "a b"),
            ("colour notin (red)", "b c"),
            ("colour", "a b"),
            ("!colour", "c"),
            ("colour in (red,blue),size=2", "b"),
            ("colour,size!=1", "b"),
            ("of=test", "a b c"),
            ("none=such", ""),
        ],
    )
    def test_labels_select(self, api: Api, maps: str, selector: str, names: str) -> None:
        labels: dict[str, Manifest] = {
            "a": {"colour": "red", "size": "1"},
            "b": {"colour": "blue", "size": "2"},
            "c": {"size": "3"},
        }
        for name, own in labels.items():
            ask(api, "POST", maps, config_map(name, labels={"of": "test", **own}))
        found = ask(api, "GET", maps, labelSelector=f"of=test,{selector}").body["items"]
        assert " ".join(each["metadata"]["name"] for each in found) == names

    @pytest.mark.parametrize("selector", ["a=b=c", "a in b", "=a", "!a=b", "a in (b"])
    def test_a_selector_that_cannot_be_read_is_refused(self, api: Api, maps: str, selector: str) -> None:
        refused = ask(api, "GET", maps, labelSelector=selector)
        assert (refused.code, refused.reason) == (400, "BadRequest")

    def test_names_and_phases_select(self, api: Api, maps: str, pods: str) -> None:
        for name in ("a", "b"):
            ask(api, "POST", maps, config_map(name))
        found = ask(api, "GET", maps, fieldSelector="metadata.name=b").body["items"]
        assert [each["metadata"]["name"] for each in found] == ["b"]
        names = {
            each["metadata"]["name"] for each in ask(api, "GET", maps, fieldSelector="metadata.name!=b").body["items"]
        }
        assert "a" in names
        assert "b" not in names
        ask(api, "POST", pods, pod("one"))
        assert len(ask(api, "GET", pods, fieldSelector="status.phase=Pending").body["items"]) == 1
        assert ask(api, "GET", pods, fieldSelector="status.phase!=Pending").body["items"] == []

    def test_a_field_that_does_not_select_is_refused(self, api: Api, maps: str) -> None:
        refused = ask(api, "GET", maps, fieldSelector="data.k=v")
        assert (refused.code, refused.reason) == (400, "BadRequest")

    def test_a_pod_that_no_node_has_printed_nothing(self, api: Api, pods: str, namespace: str) -> None:
        ask(api, "POST", pods, pod("one"))
        assert api.logs("one", namespace) == ""

    def test_events_are_found_by_what_they_are_about(self, api: Api, namespace: str) -> None:
        place = f"/api/v1/namespaces/{namespace}/events"
        for name in ("one", "two"):
            about = {"kind": "Pod", "name": name, "namespace": namespace}
            event = {"metadata": {"name": f"{name}.1"}, "involvedObject": about, "reason": "Told", "message": "words"}
            assert ask(api, "POST", place, {"apiVersion": "v1", "kind": "Event", **event}).code == 201
        found = ask(api, "GET", place, fieldSelector="involvedObject.name=two,reason=Told").body["items"]
        assert [each["metadata"]["name"] for each in found] == ["two.1"]


class Watching:
    def test_a_watch_tells_each_change_after_a_version(self, api: Api, maps: str) -> None:
        version = ask(api, "GET", maps).body["metadata"]["resourceVersion"]
        ask(api, "POST", maps, config_map("one"))
        with watch(api, maps, resourceVersion=version, fieldSelector="metadata.name=one") as events:
            first = events.next()
            assert (first["type"], first["object"]["kind"]) == ("ADDED", "ConfigMap")
            ask(api, "PATCH", f"{maps}/one", {"data": {"k": "v"}}, form=MERGE)
            second = events.next()
            assert (second["type"], second["object"]["data"]) == ("MODIFIED", {"k": "v"})
            ask(api, "DELETE", f"{maps}/one")
            third = events.next()
            assert (third["type"], third["object"]["data"]) == ("DELETED", {"k": "v"})
            versions = [int(each["object"]["metadata"]["resourceVersion"]) for each in (first, second, third)]
            assert versions == sorted(set(versions))

    def test_a_watch_without_a_version_begins_with_what_is_there(self, api: Api, maps: str) -> None:
        ask(api, "POST", maps, config_map("one", labels={"of": "test"}))
        with watch(api, maps, labelSelector="of=test") as events:
            assert events.told() == ("ADDED", "one")

    def test_an_object_that_comes_or_goes_by_its_labels_is_told_so(self, api: Api, maps: str) -> None:
        version = ask(api, "POST", maps, config_map("one")).body["metadata"]["resourceVersion"]
        with watch(api, maps, resourceVersion=version, labelSelector="of=test") as events:
            ask(api, "PATCH", f"{maps}/one", {"metadata": {"labels": {"of": "test"}}}, form=MERGE)
            assert events.told() == ("ADDED", "one")
            ask(api, "PATCH", f"{maps}/one", {"metadata": {"labels": {"of": None}}}, form=MERGE)
            assert events.told() == ("DELETED", "one")

    def test_a_watch_ends_after_its_time(self, api: Api, maps: str) -> None:
        version = ask(api, "GET", maps).body["metadata"]["resourceVersion"]
        with watch(api, maps, resourceVersion=version, timeoutSeconds="1", labelSelector="none=such") as events:
            assert events.ends()

    def test_a_bookmark_tells_how_far_a_watch_is(self, api: Api, maps: str) -> None:
        version = ask(api, "GET", maps).body["metadata"]["resourceVersion"]
        asked = {"resourceVersion": version, "labelSelector": "none=such", "allowWatchBookmarks": "true"}
        with watch(api, maps, **asked) as events:
            found = events.next(bookmarks=True)
            assert (found["type"], found["object"]["kind"]) == ("BOOKMARK", "ConfigMap")
            assert int(found["object"]["metadata"]["resourceVersion"]) >= int(version)

    def test_a_watch_tells_every_change_once_and_in_order(self, api: Api, maps: str) -> None:
        version = ask(api, "POST", maps, config_map("one", {"k": "-1"})).body["metadata"]["resourceVersion"]
        with watch(api, maps, resourceVersion=version, fieldSelector="metadata.name=one") as events:

            def change() -> None:
                for number in range(20):
                    ask(api, "PATCH", f"{maps}/one", {"data": {"k": str(number)}}, form=MERGE)

            changing = threading.Thread(target=change)
            changing.start()
            told = [events.next()["object"]["data"]["k"] for _ in range(20)]
            changing.join()
        assert told == [str(number) for number in range(20)]

    def test_all_namespaces_are_watched_together(self, api: Api, maps: str, namespace: str) -> None:
        ask(api, "POST", maps, config_map("one", labels={"of": namespace}))
        with watch(api, "/api/v1/configmaps", labelSelector=f"of={namespace}") as events:
            assert events.told() == ("ADDED", "one")

    def test_a_watch_with_a_selector_that_cannot_be_read_is_refused(self, api: Api, maps: str) -> None:
        assert ask(api, "GET", maps, watch="true", labelSelector="a in b").code == 400


class Namespaces:
    def test_a_namespace_has_its_name_as_a_label_and_an_account(self, api: Api, namespace: str) -> None:
        found = api.get("v1", "Namespace", namespace)
        assert found["metadata"]["labels"]["kubernetes.io/metadata.name"] == namespace
        assert (found["status"]["phase"], found["spec"]["finalizers"]) == ("Active", ["kubernetes"])
        until(lambda: api.find("v1", "ServiceAccount", "default", namespace))
        until(lambda: api.find("v1", "ConfigMap", "kube-root-ca.crt", namespace))

    def test_the_first_namespaces_stay(self, api: Api) -> None:
        refused = ask(api, "DELETE", "/api/v1/namespaces/default")
        assert (refused.code, refused.reason) == (403, "Forbidden")

    def test_a_namespace_that_ends_takes_nothing_new_and_waits_for_its_content(
        self, api: Api, maps: str, namespace: str
    ) -> None:
        held = ask(api, "POST", maps, config_map("held", finalizers=["plimsoll.dev/test"]))
        assert held.code == 201
        gone = ask(api, "DELETE", f"/api/v1/namespaces/{namespace}")
        assert gone.code == 200
        found = api.get("v1", "Namespace", namespace)
        assert (found["status"]["phase"], "deletionTimestamp" in found["metadata"]) == ("Terminating", True)
        refused = ask(api, "POST", maps, config_map("late"))
        assert (refused.code, refused.reason) == (403, "Forbidden")
        assert [each["reason"] for each in refused.causes] == ["NamespaceTerminating"]
        until(lambda: "deletionTimestamp" in api.get("v1", "ConfigMap", "held", namespace)["metadata"])
        ask(api, "PATCH", f"{maps}/held", {"metadata": {"finalizers": None}}, form=MERGE)
        until(lambda: api.find("v1", "Namespace", namespace) is None)
