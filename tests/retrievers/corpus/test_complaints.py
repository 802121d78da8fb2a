from pathlib import Path

from trailhound.retrievers.corpus._normalise import Complaints, Place

PATH = Path("corpus.jsonl")


def test_first_few_are_passed_on_and_the_rest_counted() -> None:
    heard: list[str] = []
    complaints = Complaints(heard.append, shown=2)
    for line in range(1, 1_503):
        complaints.add("skipped an empty document", Place(PATH, line), f" (id {line})")
    complaints.add("something else", Place(PATH))
    complaints.finish()
    assert heard == [
        "corpus.jsonl:1: skipped an empty document (id 1)",
        "corpus.jsonl:2: skipped an empty document (id 2)",
        "corpus.jsonl: something else",
        "1,500 more: skipped an empty document",
    ]


def test_strings_deep_in_json_are_normalised_and_other_values_kept() -> None:
    heard: list[str] = []
    value = {"k\ud800": ["e\u0301", {"n": 1.5, "none": None, "yes": True}]}
    cleaned = Complaints(heard.append).normalised_json(value, Place(PATH, 7))
    assert cleaned == {"k\ufffd": ["\u00e9", {"n": 1.5, "none": None, "yes": True}]}
    assert heard == ["corpus.jsonl:7: replaced lone surrogates by U+FFFD (1)"]
