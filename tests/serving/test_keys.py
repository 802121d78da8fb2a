"""What a key may do it may, and nothing else; what its access lists hide is nowhere."""

from __future__ import annotations

import json
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from fixtures.served import DOCUMENTS, SECRET, Client
from trailhound.errors import QuestionsError
from trailhound.serving._keys import KeyRing, add_key, read_keys, rights_of

AT = "/v1/workspaces/isles"


@pytest.fixture(scope="module")
def ring(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("keys") / "keys.jsonl"


@pytest.fixture(scope="module")
def guarded(
    isles: Path, serve: object, ring: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Client]]:
    """Clients by what their keys may do; ``anybody`` has none."""
    folder = tmp_path_factory.mktemp("guarded")
    keys = {
        "reader": add_key(ring, "reader", rights_of("isles:search"), None),
        "sailor": add_key(ring, "sailor", rights_of("isles:search,isles:write"), ["sailor", "cook"]),
        "keeper": add_key(ring, "keeper", rights_of("isles:search"), ["keeper"]),
        "admin": add_key(ring, "admin", rights_of("*:admin"), None),
        "stranger": add_key(ring, "stranger", rights_of("elsewhere:admin"), None),
    }
    copies = {name: Path(shutil.copytree(isles, folder / f"{name}.index")) for name in ("isles", "other")}
    with serve(copies["isles"], folder, workspaces=copies, keys=ring) as anybody:  # type: ignore[operator]
        yield {"anybody": anybody, **{name: Client(anybody.port, key) for name, key in keys.items()}}


def test_without_a_key_only_the_page_its_documentation_and_the_health_are_there(guarded: dict[str, Client]) -> None:
    anybody = guarded["anybody"]
    assert {path: anybody("GET", path).status for path in ("/", "/page/app.js", "/docs", "/health/ready")} == {
        "/": 200,
        "/page/app.js": 200,
        "/docs": 200,
        "/health/ready": 200,
    }
    schema = anybody("GET", "/openapi.json").json
    closed = [
        (method.upper(), path)
        for path, methods in schema["paths"].items()
        for method, about in methods.items()
        if about["security"]
    ]
    assert len(closed) > 12
    for method, path in closed:
        refused = anybody(method, path.replace("{workspace}", "isles"), None if method == "GET" else {})
        assert (refused.status, refused.headers["www-authenticate"]) == (401, "Bearer"), path
    assert Client(anybody.port, "th_guessed").search().status == 401


def test_a_right_is_of_a_workspace(guarded: dict[str, Client]) -> None:
    reader = guarded["reader"]
    assert reader.search().status == 200
    assert [one["name"] for one in reader("GET", "/v1/workspaces").json] == ["isles"]
    assert reader("POST", f"{AT}/documents", [{"id": "a", "text": "b"}]).status == 403
    assert reader("DELETE", f"{AT}/documents/orr").status == 403
    assert [reader("GET", path).status for path in (f"{AT}/misses", f"{AT}/health", "/metrics")] == [403, 403, 403]
    hidden, nowhere = (reader.search(workspace=name) for name in ("other", "nowhere"))
    assert (hidden.status, nowhere.status) == (404, 404)
    assert hidden.json["error"]["message"].replace("other", "") == nowhere.json["error"]["message"].replace(
        "nowhere", ""
    )
    assert guarded["stranger"].search().status == 404
    assert guarded["admin"]("GET", "/metrics").status == 200


def test_what_an_access_list_hides_is_in_no_route(guarded: dict[str, Client]) -> None:
    name, title, text = SECRET
    question = "What does the vault of Sundsby hold?"
    for hidden, there in ((guarded["sailor"], False), (guarded["keeper"], True)):
        about = hidden("GET", "/v1/workspaces").json[0]
        assert about["documents"] == len(DOCUMENTS) + there
        body = {"question": question, "systems": ["lexical", "ppr", "exhaustive"]}
        chat = {"model": "isles", "messages": [{"role": "user", "content": question}]}
        seen = [
            hidden.search(question).content,
            hidden("POST", f"{AT}/search/stream", {"question": question}).content,
            hidden("POST", f"{AT}/compare", body).content,
            hidden("POST", "/v1/chat/completions", chat).content,
            hidden("GET", f"{AT}/documents").content,
            hidden("GET", f"{AT}/graph?passage=sundsby%230").content,
            hidden("GET", f"{AT}/documents/{name}").content.replace(name.encode(), b"", 1 - there),
        ]
        told = [any(word.encode() in one for word in (f'"{name}', title, text)) for one in seen]
        assert told == [there] * len(seen)
    assert guarded["sailor"]("GET", f"{AT}/graph?passage={name}%230").status == 404


def test_where_narrows_what_a_key_may_see_and_never_widens_it(guarded: dict[str, Client]) -> None:
    question = "What does the vault of Sundsby hold?"
    for client, asked, there in (
        ("sailor", ["keeper"], False),
        ("keeper", ["cook"], False),
        ("admin", ["keeper"], True),
    ):
        found = guarded[client].search(question, where={"principals": asked}).json["evidence"]
        assert (SECRET[0] in {one["passage"]["document_id"] for one in found}) is there


def test_a_key_changes_no_document_that_it_may_not_see(guarded: dict[str, Client]) -> None:
    sailor = guarded["sailor"]
    job = sailor.ended(sailor("POST", f"{AT}/documents", [{"id": SECRET[0], "text": "Taken over."}]))
    assert (job["state"], "taken" in job["error"]["message"]) == ("failed", True)
    assert sailor("DELETE", f"{AT}/documents/{SECRET[0]}").status == 404
    assert guarded["keeper"]("GET", f"{AT}/documents/{SECRET[0]}").json["text"] == SECRET[2]


def test_a_job_is_known_to_who_asked_for_it_and_to_the_admin(guarded: dict[str, Client]) -> None:
    sailor = guarded["sailor"]
    job = sailor.ended(sailor("POST", f"{AT}/documents", [{"id": "log", "text": "Fair wind."}]))
    assert job["by"] == "sailor"
    assert guarded["admin"]("GET", f"/v1/jobs/{job['id']}").status == 200
    assert guarded["reader"]("GET", f"/v1/jobs/{job['id']}").status == 404
    assert guarded["reader"]("GET", "/v1/jobs").json == []


def test_a_key_that_is_struck_out_is_refused_at_once_and_a_new_one_taken(
    guarded: dict[str, Client], ring: Path
) -> None:
    before = ring.read_text("utf-8")
    late = Client(guarded["anybody"].port, add_key(ring, "late", rights_of("isles:search"), None))
    assert late.search().status == 200
    ring.write_text(before, "utf-8")
    assert late.search().status == 401


def test_the_file_is_its_owners_and_has_no_key_in_it(tmp_path: Path) -> None:
    file = tmp_path / "keys.jsonl"
    key = add_key(file, "one", rights_of("*:admin"), ["b", "a"])
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert key not in file.read_text("utf-8")
    found = KeyRing(file).key(key)
    assert found is not None
    assert (found.name, found.principals) == ("one", {"a", "b"})
    assert KeyRing(file).key(key[:-1]) is None
    with pytest.raises(QuestionsError, match="has a key 'one'"):
        add_key(file, "one", {}, None)


@pytest.mark.parametrize(
    "line",
    [
        "{",
        "[]",
        '{"name": "a"}',
        '{"name": "a", "hash": "ab", "rights": {}}',
        '{"name":"a","hash":"0","rights":{"w":["x"]}}',
    ],
)
def test_a_line_that_is_no_key_is_named(tmp_path: Path, line: str) -> None:
    file = tmp_path / "keys.jsonl"
    add_key(file, "one", rights_of("w:search"), None)
    file.write_text(file.read_text("utf-8") + line + "\n", "utf-8")
    with pytest.raises(QuestionsError, match=r"keys\.jsonl:2: is no key"):
        read_keys(file)


@pytest.mark.parametrize("said", ["docs", "docs:", ":search", "docs:read", ""])
def test_a_right_that_is_none_is_told(said: str) -> None:
    with pytest.raises(QuestionsError, match="is no right"):
        rights_of(said)


def test_rights_are_read_as_they_are_typed() -> None:
    assert rights_of("a:b:search, a:b:write,*:admin") == {"a:b": ["search", "write"], "*": ["admin"]}
    assert json.dumps(rights_of("w:search,w:search")) == '{"w": ["search"]}'
