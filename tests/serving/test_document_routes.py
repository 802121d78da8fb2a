"""Documents over HTTP: listed, read, added in either form, deleted; and what cannot be read is named."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from fixtures.served import DOCUMENTS, SECRET, Client

AT = "/v1/workspaces/isles/documents"


def form(*files: tuple[str, bytes]) -> tuple[bytes, str]:
    """Return the body of an upload, and its type."""
    parts = [
        f'--cut\r\nContent-Disposition: form-data; name="files"; filename="{name}"\r\n\r\n'.encode() + content + b"\r\n"
        for name, content in files
    ]
    return b"".join(parts) + b"--cut--\r\n", "multipart/form-data; boundary=cut"


def upload(client: Client, *files: tuple[str, bytes]) -> dict[str, Any]:
    body, kind = form(*files)
    return client.ended(client("POST", AT, body, Content_Type=kind))


def found(client: Client, question: str) -> list[str]:
    return [one["passage"]["document_id"] for one in client.search(question, system="lexical").json["evidence"]]


def test_documents_are_listed_page_by_page(client: Client) -> None:
    first = client("GET", f"{AT}?limit=4").json
    rest = client("GET", f"{AT}?limit=4&after={quote(first['next'])}").json
    names = [one["id"] for one in first["documents"] + rest["documents"]]
    assert names == sorted([name for name, _, _ in DOCUMENTS] + [SECRET[0]])
    assert rest["next"] is None
    assert [one["id"] for one in client("GET", f"{AT}?query=TOLVANE").json["documents"]] == ["people/tolvane"]


def test_a_document_has_its_text_and_its_passages_their_places(client: Client) -> None:
    whole = client("GET", f"{AT}/{quote('people/tolvane', safe='')}").json
    assert (whole["title"], whole["text"]) == DOCUMENTS[1][1:]
    assert [whole["text"][one["start"] : one["end"]] for one in whole["passages"]] == [
        one["text"] for one in whole["passages"]
    ]
    assert client("GET", f"{AT}/nowhere").status == 404


def test_the_graph_leads_from_a_passage_to_what_it_mentions(client: Client) -> None:
    around = client("GET", "/v1/workspaces/isles/graph?passage=lighthouse%230").json
    assert around["nodes"][0]["id"] == "lighthouse#0"
    edges = {(one["source"], one["target"], one["relation"]) for one in around["edges"]}
    assert ("lighthouse#0", "people/tolvane#0", "title_mention") in edges
    ends = {end for source, target, _ in edges for end in (source, target)}
    assert ends <= {node["id"] for node in around["nodes"]}
    assert client("GET", "/v1/workspaces/isles/graph?passage=nowhere").status == 404


def test_a_document_is_found_once_its_job_is_done_and_gone_once_it_is_deleted(changing: Client) -> None:
    one = {"id": "walrus", "title": "Walrus", "text": "A walrus slept on the jetty.", "metadata": {"kind": "animal"}}
    job = changing.ended(changing("POST", AT, [one]))
    assert (job["state"], job["report"]["added"]) == ("done", 1)
    assert found(changing, "Who slept on the jetty?")[0] == "walrus"
    assert changing("GET", f"{AT}/walrus").json["metadata"] == {"kind": "animal"}
    assert changing.ended(changing("POST", AT, [one]))["report"]["unchanged"] == 1
    assert changing.ended(changing("DELETE", f"{AT}/walrus"))["state"] == "done"
    assert "walrus" not in found(changing, "Who slept on the jetty?")
    assert changing("DELETE", f"{AT}/walrus").status == 404


def test_a_document_may_be_long_and_numbers_in_it_anything(changing: Client) -> None:
    text = "The keeper lit the lamp. " * 2000
    job = changing.ended(changing("POST", AT, [{"id": "log", "text": text, "metadata": {"n": 2**70, "deep": [[{}]]}}]))
    assert job["state"] == "done"
    assert changing.search("keeper lit the lamp", where={"documents": ["log"]}).status == 200
    found = changing("GET", f"{AT}/log").json
    assert (found["text"], found["metadata"]["n"]) == (text, 2**70)


def test_what_is_there_is_not_replaced_where_that_is_not_wanted(changing: Client) -> None:
    job = changing.ended(changing("POST", f"{AT}?replace=false", [{"id": "orr", "text": "Another cape."}]))
    assert (job["state"], job["error"]["type"]) == ("failed", "UpdateError")
    assert changing("GET", f"{AT}/orr").json["title"] == "Cape Orr"


def test_files_are_read_and_those_that_cannot_be_are_named(changing: Client) -> None:
    job = upload(
        changing,
        ("notes/../zebra.txt", b"A zebra grazes in the Grey Hills."),
        ("torn.pdf", b"%PDF-1.7 torn"),
        ("records.jsonl", b'{"_id": "r1", "text": "An okapi hides in the Grey Hills."}\n{torn\n'),
        ("nothing.md", b""),
    )
    assert (job["state"], job["report"]["added"]) == ("done", 2)
    assert sorted(one["name"] for one in job["problems"]) == ["nothing.md", "records.jsonl:2", "torn.pdf"]
    assert changing("GET", f"{AT}/{quote('notes/zebra.txt', safe='')}").json["source"] == "notes/zebra.txt"
    assert found(changing, "okapi") == ["r1"]


def test_an_upload_of_which_nothing_can_be_read_fails_and_says_why(changing: Client) -> None:
    job = upload(changing, ("torn.pdf", b"%PDF-1.7 torn"))
    assert job["state"] == "failed"
    assert "torn.pdf" in job["error"]["message"]
    assert [one["name"] for one in job["problems"]] == ["torn.pdf"]


def test_wrong_records_are_named_by_their_place(changing: Client) -> None:
    refused = changing("POST", AT, [{"id": "a", "text": "fine"}, {"id": "b"}, {"id": 3, "text": "x"}])
    assert refused.status == 422
    assert "1.text" in refused.json["error"]["message"]
    assert "2.id" in refused.json["error"]["message"]
    assert changing("POST", AT, []).status == 422


def test_jobs_are_listed_newest_first(changing: Client) -> None:
    one = changing.ended(changing("POST", AT, [{"id": "last", "text": "The last of all."}]))
    listed = changing("GET", "/v1/jobs").json
    assert listed[0] == one
    assert [job["id"] for job in listed] == sorted((job["id"] for job in listed), reverse=True)
    assert changing("GET", "/v1/jobs/..%2F..%2Fetc").status == 404
