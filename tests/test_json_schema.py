"""docs/json.md says what the commands write: each schema is held against real output, and can tell what is wrong."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from trailhound.cli import main

PAGE = Path(__file__).parents[1] / "docs" / "json.md"
TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
}
KNOWN = {"type", "required", "properties", "additionalProperties", "items", "enum", "anyOf", "minimum", "maximum"}


def schemas() -> dict[str, dict[str, Any]]:
    """Return the schema of each command, by the command's name."""
    sections = re.findall(r"^## trailhound (\w+) --json\n(.*?)(?=^## |\Z)", PAGE.read_text("utf-8"), re.M | re.S)
    return {name: json.loads(re.findall(r"```json\n(.*?)```", text, re.S)[0]) for name, text in sections}


SCHEMAS = schemas()


def wrong(value: Any, schema: dict[str, Any], root: dict[str, Any], place: str = "$") -> Iterator[str]:
    """Yield what is wrong with a value, by the part of JSON Schema that the page uses."""
    if "$ref" in schema:
        schema = root["$defs"][schema["$ref"].removeprefix("#/$defs/")]
    unknown = schema.keys() - KNOWN - {"description", "$defs"}
    assert not unknown, f"the test does not know {unknown}"
    if "anyOf" in schema:
        if all(any(wrong(value, one, root, place)) for one in schema["anyOf"]):
            yield f"{place}: {value!r} is none of the choices"
        return
    if "enum" in schema and value not in schema["enum"]:
        yield f"{place}: {value!r} is not one of {schema['enum']}"
    names = schema.get("type", [])
    allowed = [kind for name in ([names] if isinstance(names, str) else names) for kind in TYPES[name]]
    if allowed and (not isinstance(value, tuple(allowed)) or (isinstance(value, bool) and bool not in allowed)):
        yield f"{place}: {value!r} is not {names}"
        return
    if isinstance(value, int | float) and not schema.get("minimum", value) <= value <= schema.get("maximum", value):
        yield f"{place}: {value} is out of range"
    yield from _inside(value, schema, root, place)


def _inside(value: Any, schema: dict[str, Any], root: dict[str, Any], place: str) -> Iterator[str]:
    if isinstance(value, list):
        for number, item in enumerate(value):
            yield from wrong(item, schema.get("items", {}), root, f"{place}[{number}]")
    if isinstance(value, dict):
        yield from (f"{place} lacks {name}" for name in schema.get("required", []) if name not in value)
        others = schema.get("additionalProperties", {})
        for name, item in value.items():
            if name in schema.get("properties", {}):
                yield from wrong(item, schema["properties"][name], root, f"{place}.{name}")
            elif others is False:
                yield f"{place}.{name} is not documented"
            else:
                yield from wrong(item, others, root, f"{place}.{name}")


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Documents, one that cannot be read, one in another encoding, questions and an index."""
    house = tmp_path_factory.mktemp("json")
    (house / "docs").mkdir()
    (house / "docs" / "gate.md").write_text("# The Silver Gate\n\nIt was directed by Ada Brun.\n")
    (house / "docs" / "brun.md").write_text("# Ada Brun\n\nAda Brun was born in Torl. Write to ada@brun.example.\n")
    (house / "docs" / "old.txt").write_bytes("Das Fährschiff fährt täglich über den Fluß nach Süden.".encode("latin-1"))
    (house / "docs" / "broken.pdf").write_bytes(b"%PDF-1.7 and no more")
    (house / "qrels").mkdir()
    (house / "queries.jsonl").write_text('{"_id": "q", "text": "Who directed The Silver Gate?"}\n')
    (house / "qrels" / "dev.tsv").write_text("q\tgate.md\t1\nq\tgone.md\t1\n")
    return house


@pytest.fixture(scope="module")
def outputs(house: Path) -> dict[str, list[dict[str, Any]]]:
    """What the commands write, several times each."""
    index = house / "x.index"

    def printed(*words: str) -> dict[str, Any]:
        import io
        from contextlib import redirect_stdout

        with redirect_stdout(io.StringIO()) as out:
            assert main([*words, "--quiet"]) == 0
        return dict(json.loads(out.getvalue()))

    built = printed("index", str(house / "docs"), "--out", str(index), "--mask", "email", "--drop-duplicates", "--json")
    searches = [
        printed("search", str(index), "Who directed The Silver Gate?", "--json", *more)
        for more in ((), ("--system", "hybrid"), ("--system", "lexical", "--limit", "1"))
    ]
    measured = []
    over = ["evaluate", "--index", str(index), "--questions", str(house), "--split", "dev", "--quiet"]
    for more in ([], ["--system", "hybrid"]):
        assert main([*over, "--json", str(house / "e.json"), *more]) == 0
        measured.append(json.loads((house / "e.json").read_text()))
        (house / f"{len(measured)}.json").write_bytes((house / "e.json").read_bytes())
    compared = [printed("compare", str(house / "1.json"), str(house / "2.json"), "--resamples", "99", "--json")]
    return {"index": [built], "search": searches, "evaluate": measured, "compare": compared}


@pytest.mark.parametrize("command", ["search", "evaluate", "index", "compare"])
def test_what_a_command_writes_is_what_the_page_says(command: str, outputs: dict[str, list[dict[str, Any]]]) -> None:
    for output in outputs[command]:
        assert list(wrong(output, SCHEMAS[command], SCHEMAS[command])) == []


def test_the_report_of_an_index_tells_what_was_skipped(outputs: dict[str, list[dict[str, Any]]]) -> None:
    (built,) = outputs["index"]
    assert [Path(one["path"]).name for one in built["skipped"]] == ["broken.pdf"]
    assert built["skipped_count"] == 1
    assert [Path(name).name for name in built["encodings"]] == ["old.txt"]
    assert outputs["evaluate"][0]["labels_unmatched"] == ["gone.md"]


@pytest.mark.parametrize("command", ["search", "evaluate", "index", "compare"])
def test_a_schema_notices_what_is_missing_or_of_another_kind(
    command: str, outputs: dict[str, list[dict[str, Any]]]
) -> None:
    schema, output = SCHEMAS[command], outputs[command][0]
    for name in schema["required"]:
        lacking = {other: value for other, value in output.items() if other != name}
        assert list(wrong(lacking, schema, schema))
        other = deepcopy(output)
        other[name] = {"of": "another kind"}
        assert list(wrong(other, schema, schema)), name
    assert list(wrong({**output, "new": "word"}, schema, schema))
