"""Who keeps the lists of those who see restricted data, and what is remembered of it."""

from __future__ import annotations

import pytest

from tests.support.api import Api

READERS = "/api/datasets/floods/readers"


def listed(api: Api) -> list[tuple[str, str]]:
    return [(r["client_id"], r["added_by"]) for r in api.get(READERS, "rex")["readers"]]


def put(api: Api, *clients: str, by: str = "rita") -> None:
    answer = api.of(by).put(READERS, json={"clients": clients})
    assert answer.status_code == 200, answer.text


def test_a_list_is_put_as_a_whole_and_who_stays_keeps_his_place(api: Api) -> None:
    assert listed(api) == []
    put(api, "acme", "bob", "acme")
    put(api, "bob", "zeta", by="ada")
    assert listed(api) == [("bob", "rita"), ("zeta", "ada")]
    put(api)
    assert listed(api) == []


def test_every_change_is_written_down_with_what_it_replaced(api: Api) -> None:
    put(api, "acme")
    put(api, "bob", by="ada")
    deeds = api.get("/api/admin/audit", object_type="readers", object_id="floods")["entries"]
    assert [(d["actor"], d["action"], d["details"]) for d in deeds] == [
        ("ada", "readers.change", {"old": ["acme"], "new": ["bob"]}),
        ("rita", "readers.change", {"old": [], "new": ["acme"]}),
    ]


def test_a_dataset_id_with_a_slash_has_a_list_too(api: Api) -> None:
    answer = api.of("rita").put("/api/datasets/floods/2026/readers", json={"clients": ["acme"]})
    assert (answer.status_code, answer.json()["dataset_id"]) == (200, "floods/2026")
    assert listed(api) == []


@pytest.mark.parametrize("body", [{}, {"clients": [""]}, {"clients": "acme"}, {"clients": [], "more": 1}])
def test_a_list_that_means_nothing_is_refused(api: Api, body: dict) -> None:
    assert api.of("rita").put(READERS, json=body).status_code == 400
