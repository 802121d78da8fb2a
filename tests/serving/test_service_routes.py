"""What a server tells of itself: workspaces, misses, health, metrics, and its own documentation."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from fixtures.served import DOCUMENTS, QUESTION, Client
from prometheus_client.parser import text_string_to_metric_families
from trailhound.serving._schemas import HealthBody, JobBody, WorkspaceBody

AT = "/v1/workspaces/isles"


def figures(client: Client) -> dict[str, float]:
    """Return all figures of Prometheus, by name and labels."""
    families = text_string_to_metric_families(client("GET", "/metrics").content.decode())
    return {
        " ".join([sample.name, *(f"{name}={value}" for name, value in sorted(sample.labels.items()))]): sample.value
        for family in families
        for sample in family.samples
    }


def test_a_workspace_is_told_of(client: Client, isles: Path) -> None:
    [about] = client("GET", "/v1/workspaces").json
    assert WorkspaceBody.model_validate(about).model_dump() == about
    assert (about["name"], about["documents"], about["passages"]) == ("isles", len(DOCUMENTS) + 1, len(DOCUMENTS) + 1)
    assert {"lexical", "hybrid", "policy"} <= set(about["systems"])
    assert about["size_bytes"] == sum(file.stat().st_size for file in isles.rglob("*") if file.is_file())


def test_every_system_that_is_named_answers(client: Client) -> None:
    for system in client("GET", "/v1/workspaces").json[0]["systems"]:
        assert client.search(system=system).status == 200


def test_the_health_counts_what_is_deleted_and_says_how_far_additions_lie(changing: Client) -> None:
    before = changing("GET", f"{AT}/health").json
    assert HealthBody.model_validate(before).model_dump() == before
    assert (before["deleted"], before["drift"]["words"]) == (0, "none since the base was built")
    new = [{"id": "okapi", "text": "Okapis browse on quinoa and amaranth."}]
    job = changing.ended(changing("POST", f"{AT}/documents", new))
    assert JobBody.model_validate(job).model_dump() == job
    changing.ended(changing("DELETE", f"{AT}/documents/lio"))
    after = changing("GET", f"{AT}/health").json
    assert after["generation"] > before["generation"]
    assert after["deleted"] == sum(one["deleted"] for one in after["segments"]) == 1
    assert after["drift"]["unknown_terms"] > 0
    assert "unknown terms" in after["drift"]["words"]


def test_searches_changes_and_requests_are_counted(changing: Client) -> None:
    before = figures(changing)
    result = changing.search("Which emperor crossed the Alps with elephants?").json
    changing.search(system="oracle")
    changing("POST", f"{AT}/search", {"question": QUESTION, "where": {"metadata": {"a": {"$b": 1}}}})
    changing.ended(changing("POST", f"{AT}/documents", [{"id": "emu", "text": "Emus run."}]))
    after = figures(changing)

    def more(name: str) -> float:
        return after.get(name, 0) - before.get(name, 0)

    route = "route=/v1/workspaces/{workspace}/search"
    assert more("trailhound_search_seconds_count workspace=isles") == 1
    assert more("trailhound_search_calls_sum workspace=isles") == result["calls"]
    assert more("trailhound_abstentions_total workspace=isles") == result["unanswered"]
    assert more(f"trailhound_requests_total method=POST {route} status=200") == 1
    assert more(f"trailhound_requests_total method=POST {route} status=404") == 1
    assert more(f"trailhound_requests_total method=POST {route} status=400") == 1
    assert more("trailhound_changes_total kind=add state=done workspace=isles") == 1
    assert more("trailhound_freshness_seconds_count workspace=isles") == 1


def test_missed_questions_are_kept_newest_first_and_once(isles: Path, serve: Any, tmp_path: Path) -> None:
    questions = ["Which emperor crossed the Alps?", "Who invented the zip?", "Which emperor crossed the Alps?"]
    with serve(isles, tmp_path / "memory") as client:
        found = [client.search(question).json for question in questions]
        missed = [one["question"] for one in found if one["unanswered"] or one["confidence"] < 0.5]
        assert missed, "the corpus answers none of them"
        told = client("GET", f"{AT}/misses").json
        assert [one["question"] for one in told] == list(dict.fromkeys(reversed(missed)))
        assert client.search(QUESTION).json["unanswered"] is False
    written = [file for file in (tmp_path / "memory").rglob("*") if file.is_file() and b"emperor" in file.read_bytes()]
    assert written == []


def test_missed_questions_are_written_where_that_is_asked(isles: Path, serve: Any, tmp_path: Path) -> None:
    file = tmp_path / "misses.jsonl"
    with serve(isles, tmp_path / "first", misses=file) as client:
        client.search("Which emperor crossed the Alps?")
        told = client("GET", f"{AT}/misses").json
    assert b"emperor" in file.read_bytes()
    with serve(isles, tmp_path / "second", misses=file) as client:
        assert client("GET", f"{AT}/misses").json == told


def test_the_documentation_loads_nothing_from_elsewhere_and_names_every_route(client: Client) -> None:
    page = client("GET", "/docs").content.decode()
    assert not re.search(r"https?://", page)
    paths = client("GET", "/openapi.json").json["paths"]
    assert all(f"{method.upper()} {path}</code>" in page for path, methods in paths.items() for method in methods)


def test_every_route_of_the_documentation_is_in_the_schema(client: Client) -> None:
    guide = (Path(__file__).parents[2] / "docs" / "serving.md").read_text("utf-8")
    named = {path.replace("/W", "/{workspace}") for path in re.findall(r"`(?:GET|POST|DELETE) (/[^` ]+)`", guide)}
    named |= {path.replace("/W", "/{workspace}") for path in re.findall(r"`GET`, `DELETE (/[^` ]+)`", guide)}
    named = {path.replace("jobs/ID", "jobs/{job}").replace("/ID", "/{document}") for path in named}
    assert named == set(client("GET", "/openapi.json").json["paths"])


def test_a_path_that_has_not_a_method_names_those_it_has(client: Client) -> None:
    assert client("PATCH", f"{AT}/documents").headers["allow"] == "GET, POST"
    assert client("PATCH", f"{AT}/documents/a%2Fb").headers["allow"] == "DELETE, GET"
    assert client("PATCH", "/v1/models").headers["allow"] == "GET"
