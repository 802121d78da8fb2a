"""A server over a sharded index answers as one over an ordinary index of the same documents."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from fixtures.served import QUESTION, SECRET, Client, documents
from trailhound import Document, ShardedIndex

AT = "/v1/workspaces/isles"


@pytest.fixture(scope="module")
def sharded(
    serve: Callable[..., AbstractContextManager[Client]], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Client]:
    folder = tmp_path_factory.mktemp("sharded")
    hidden = Document(*SECRET, metadata={"access": ["keeper"]})
    ShardedIndex.build([*documents(), hidden], folder / "isles", 3).close()
    with serve(folder / "isles", folder) as asked:
        yield asked


def found(client: Client, question: str, **body: Any) -> list[str]:
    reply = client("POST", f"{AT}/search", {"question": question, "limit": 20, **body})
    assert reply.status == 200, reply.content
    return [one["passage"]["document_id"] for one in reply.json["evidence"]]


@pytest.mark.parametrize("system", ["lexical", "dense", "hybrid", "policy"])
def test_searches_find_what_they_find_in_one_index(sharded: Client, client: Client, system: str) -> None:
    for client_of in (sharded, client):
        assert "lighthouse" in found(client_of, QUESTION, system=system)
    assert found(sharded, QUESTION, system=system) == found(client, QUESTION, system=system)


def test_documents_are_listed_in_the_order_of_their_ids_whichever_shard_they_are_in(
    sharded: Client, client: Client
) -> None:
    wanted = client("GET", f"{AT}/documents").json
    assert sharded("GET", f"{AT}/documents").json == wanted
    listed: list[Any] = []
    after = ""
    while after is not None:
        page = sharded("GET", f"{AT}/documents?limit=2&after={after}").json
        listed += page["documents"]
        after = page["next"]
    assert listed == wanted["documents"]
    for document in ("lighthouse", "people/tolvane"):
        path = f"{AT}/documents/{document}"
        assert sharded("GET", path).json == client("GET", path).json
    assert sharded("GET", f"{AT}/documents/nobody").status == 404


def test_a_workspace_and_its_health_are_those_of_all_shards(sharded: Client, client: Client) -> None:
    mine, one = (asked("GET", "/v1/workspaces").json[0] for asked in (sharded, client))
    same = ("name", "documents", "passages", "encoder", "changeable")
    assert [mine[name] for name in same] == [one[name] for name in same]
    assert set(mine["systems"]) == set(one["systems"]) - {"ppr"}
    health = sharded("GET", f"{AT}/health").json
    assert sum(segment["documents"] for segment in health["segments"]) == one["documents"]
    assert {segment["name"].partition("/")[0] for segment in health["segments"]} == {
        f"shard-000{number}" for number in range(3)
    }


def test_the_graph_around_a_passage_is_told(sharded: Client) -> None:
    passage = sharded("GET", f"{AT}/documents/lighthouse").json["passages"][0]["id"]
    reply = sharded("GET", f"{AT}/graph?passage={quote(passage)}")
    assert passage in [node["id"] for node in reply.json["nodes"]]
    assert sharded("GET", f"{AT}/graph?passage=nobody%230").status == 404


def test_documents_come_and_go(sharded: Client) -> None:
    new = [{"id": f"walrus-{number}", "text": f"Walrus {number} slept on the jetty."} for number in range(4)]
    job = sharded.ended(sharded("POST", f"{AT}/documents", new))
    assert (job["state"], job["report"]["added"]) == ("done", 4)
    assert {one["id"] for one in new} <= {*found(sharded, "Where did the walrus sleep?", system="lexical")}
    assert sharded("DELETE", f"{AT}/documents/walrus-2").json["state"] == "done"
    assert "walrus-2" not in found(sharded, "Where did the walrus sleep?", system="lexical")


def test_a_server_asks_few_shards_where_they_are_parted_by_topics(
    serve: Callable[..., AbstractContextManager[Client]], tmp_path: Path
) -> None:
    ShardedIndex.build(documents(), tmp_path / "isles", 2, partition="topics").close()
    body = {"question": QUESTION, "system": "lexical"}
    for ask, shards in ((1.0, 2), (0.5, 1)):
        with serve(tmp_path / "isles", tmp_path, ask=ask) as client:
            assert len(client("POST", f"{AT}/search", body).json["shards"]) == shards
