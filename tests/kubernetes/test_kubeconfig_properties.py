"""A kubeconfig of any content is understood, or refused in its place; nothing else ever comes of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from plimsoll.errors import FileError
from plimsoll.kubernetes.kubeconfig import Access, named
from tests.kubernetes.kubeconfigs import ALL, Files

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8) | st.just("c"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
KEYS = ("server", "token", "as", "as-groups", "as-user-extra", "exec", "proxy-url", "certificate-authority-data")


def field_or_not(*fields: str) -> st.SearchStrategy[Any]:
    return st.dictionaries(st.sampled_from(fields) | st.text(max_size=4), VALUES, max_size=4) | VALUES


DOCUMENTS = st.fixed_dictionaries(
    {
        "clusters": st.just(ALL["clusters"])
        | st.lists(st.fixed_dictionaries({"name": st.just("c"), "cluster": field_or_not(*KEYS)}), max_size=2)
        | VALUES,
        "users": st.just(ALL["users"])
        | st.lists(st.fixed_dictionaries({"name": st.just("u"), "user": field_or_not(*KEYS)}), max_size=2)
        | VALUES,
        "contexts": st.just(ALL["contexts"])
        | st.lists(
            st.fixed_dictionaries({"name": st.just("x"), "context": field_or_not("cluster", "user", "namespace")}),
            max_size=2,
        )
        | VALUES,
    }
)
GENTLE = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.mark.slow
@GENTLE
@given(document=DOCUMENTS)
def test_a_kubeconfig_of_any_content_is_understood_or_refused_in_its_place(
    kubeconfigs: Files, tmp_path: Path, document: Any
) -> None:
    kubeconfigs.have(any=json.dumps(document))
    try:
        assert isinstance(named("x"), Access)
    except FileError as error:
        assert str(tmp_path / "any") in str(error)


@GENTLE
@given(cut=st.integers(0, 300), put=st.text(max_size=6), more=st.binary(max_size=4))
def test_a_kubeconfig_that_was_cut_or_overwritten_is_understood_or_refused_in_its_place(
    kubeconfigs: Files, tmp_path: Path, cut: int, put: str, more: bytes
) -> None:
    text = yaml.safe_dump(ALL)
    (tmp_path / "any").write_bytes((text[:cut] + put).encode(errors="replace") + more + text[cut + 2 :].encode())
    kubeconfigs.list("any")
    try:
        assert isinstance(named("x"), Access)
    except FileError as error:
        assert str(tmp_path / "any") in str(error)
