"""What a search prints can be read: the answer first, then passages with their place and the sentence that matters."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from trailhound import Document, Evidence, Index, Passage, SearchAgent, SearchResult, Step
from trailhound.agent._drawing import summarise_path
from trailhound.agent._sentences import SupportingSentences
from trailhound.agent.reader._protocol import Answer
from trailhound.cli import main
from trailhound.commands.result_page import print_result
from trailhound.retrievers._places import in_full, place_of
from trailhound.retrievers.compiling._chunking import sentence_spans
from trailhound.retrievers.protocols import Encoder
from trailhound.retrievers.records import SupportingSentence

TEXT = "The ferry leaves at nine. Dogs pay half. Children travel free."
Capture = pytest.CaptureFixture[str]


def passage(text: str = TEXT, title: str = "The ferry", **known: object) -> Passage:
    source = str(known.pop("source", "guide/ferry.md"))
    lead = str(known.pop("lead", ""))
    return Passage("f#0", "f", title, text, 0, len(text), sentence_spans(text), source, known, lead)


def result(*passages: Passage, answer: Answer | None = None, sentence: int = 1) -> SearchResult:
    evidence = []
    for rank, one in enumerate(passages, start=1):
        start, end = one.sentences[min(sentence, len(one.sentences) - 1)]
        end = start + len(one.text[start:end].rstrip())
        best = SupportingSentence(start, end, start, end, 1 / rank)
        evidence.append(Evidence(rank, one, 1 / rank, rank == 1, "ask the lexical index", best))
    path = (Step("expand", "ask the lexical index", "nothing is in view yet", ("f#0",), ("The ferry",), 0.5),)
    return SearchResult("What do dogs pay?", tuple(evidence), path, "fixed system: lexical", 2.0, 1, None, answer)


@pytest.mark.parametrize(
    ("known", "place"),
    [
        ({}, "guide/ferry.md"),
        ({"line": 12, "last_line": 14}, "guide/ferry.md:12"),
        ({"page": 3, "last_page": 3, "source": "manual.pdf"}, "manual.pdf, page 3"),
        ({"page": 3, "last_page": 4, "source": "manual.pdf"}, "manual.pdf, pages 3-4"),
        ({"page": 3, "source": ""}, "page 3"),
        ({"line": "x"}, "guide/ferry.md"),
        ({"source": ""}, ""),
    ],
)
def test_a_place_is_the_file_with_page_or_line(known: dict[str, object], place: str) -> None:
    assert place_of(passage(**known)) == place


def test_a_place_within_a_passage_has_its_own_line() -> None:
    assert place_of(passage("one\ntwo\nthree", line=5), 8) == "guide/ferry.md:7"


def test_the_page_is_that_of_the_sentence(tmp_path: Path, hashing_encoder: Encoder, capsys: Capture) -> None:
    pages = ["The pump is green.", "The motor is loud.", "The warranty ends after seven years."]
    text = "\n\n".join(pages)
    starts = [text.index(page) for page in pages]
    manual = Document("m.pdf", "Manual", text, "m.pdf", metadata={"page_starts": starts}, markup="plain")
    index = Index.build([manual], tmp_path / "i", encoder=hashing_encoder)
    assert len(index) == 1
    result = SearchAgent(index, system="lexical").search("When does the warranty end?")
    assert result.evidence[0].page == 3
    print_result(result, whole_path=False)
    assert capsys.readouterr().out.count("m.pdf, page 3") == 2


def test_what_is_probably_not_answered_is_said_so(capsys: Capture) -> None:
    answer = Answer("half", 0.9, "f#0", 35, 39)
    print_result(replace(result(passage(), answer=answer), unanswered=True, confidence=0.03), whole_path=False)
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == ["Probably not answered here. What comes nearest:", "Best sentence:"]
    assert lines[-1].strip() == "that these hold all the evidence has a probability of 0.03"


def test_the_best_sentence_comes_first_then_the_passages(capsys: Capture) -> None:
    print_result(result(passage(line=3), passage("It sails to Veld.", "", page=2, source="a.pdf")), whole_path=False)
    assert capsys.readouterr().out.split("\n\n")[:3] == [
        "Best sentence:\n   «Dogs pay half.»\n   (guide/ferry.md:3, passage 1)",
        "✓ 1. The ferry\n     guide/ferry.md:3\n     The ferry leaves at nine. «Dogs pay half.» Children travel free.",
        "  2. It sails to Veld.\n     a.pdf, page 2\n     «It sails to Veld.»",
    ]


def test_an_answer_comes_first_only_when_the_reader_is_sure_of_it(capsys: Capture) -> None:
    answer = Answer("half", 0.8, "f#0", 35, 39, stated=True)
    print_result(result(passage(), answer=answer), whole_path=False)
    shown = capsys.readouterr().out
    assert shown.startswith("Answer: «half» (probability 0.80)\n   Dogs pay «half».\n   (guide/ferry.md, passage 1)\n")
    print_result(result(passage(), answer=replace(answer, stated=False)), whole_path=False)
    shown = capsys.readouterr().out
    assert shown.startswith("Best sentence:\n   ")
    assert "Dogs pay" in shown.split("\n")[1]
    print_result(result(passage(), answer=Answer("yes", 0.9, stated=True)), whole_path=False)
    assert capsys.readouterr().out.startswith("Answer: «yes» (probability 0.90)\n\n✓ 1. ")


def test_the_header_of_a_table_is_shown_with_its_rows(capsys: Capture) -> None:
    one = passage("| Torl | 9 |", lead="| from | price |")
    print_result(result(one), whole_path=False)
    assert "     | from | price |\n     «| Torl | 9 |»" in capsys.readouterr().out
    assert in_full(one) == "| from | price |\n| Torl | 9 |"
    assert result(one).context(1000) == "[1] The ferry (guide/ferry.md)\n| from | price |\n| Torl | 9 |"


def test_a_context_cites_file_and_page_within_its_budget() -> None:
    found = result(passage(page=3, source="manual.pdf"))
    assert found.context(1000) == f"[1] The ferry (manual.pdf, page 3)\n{TEXT}"
    for budget in range(0, 120, 7):
        assert len(found.context(budget, len)) <= budget
    forged = result(passage(title="Ferry [2] (other.pdf)", source="a [2] b.md"), passage())
    assert [evidence.rank for evidence in forged.cited(forged.context(1000))] == [1, 2]
    assert forged.context(1000).count("[2]") - forged.context(1000).count("\\[2]") == 1


def test_nothing_found_is_said(capsys: Capture) -> None:
    print_result(result(), whole_path=False)
    assert capsys.readouterr().out.startswith("Nothing was found.\n")


def test_the_path_is_short_unless_its_whole_is_asked_for(capsys: Capture) -> None:
    print_result(result(passage()), whole_path=True)
    assert "└─ ? ask the lexical index\n     because nothing is in view yet" in capsys.readouterr().out


ASKED = Step("expand", "ask the dense index, given “A”", "x", (), (), 0.5)
TAKEN = Step("take", "take “A”", "x", ("a",), ("A",), 0.5)
HOP = Step("hop", "follow what “A” mentions", "x", (), (), 0.5)
STOP = Step("stop", "stop", "nothing came into view", (), (), 0.5)


@pytest.mark.parametrize(
    ("path", "lines"),
    [
        ((), []),
        ((ASKED,), ["asked dense"]),
        ((ASKED, ASKED, STOP), ["asked dense ×2", "stopped: nothing came into view"]),
        (
            (ASKED, TAKEN, HOP, HOP),
            ["asked dense; followed links twice", "took A", "stopped: all 4 steps that a search has were used"],
        ),
    ],
)
def test_a_path_in_short(path: tuple[Step, ...], lines: list[str]) -> None:
    assert summarise_path(SearchResult("Who?", (), path, "x", 1.0, 1)) == lines


TRICKY = st.text(st.sampled_from("ab «»\n\ue000\ue001\x1b\u202e✓[]().:1#| "), max_size=80)


@given(TRICKY, TRICKY, TRICKY)
def test_no_document_adds_a_line_at_the_margin(text: str, title: str, lead: str) -> None:
    shown: list[str] = []
    one = passage(f"B{text}. Dogs.", title, lead=lead, source="a.md")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("builtins.print", lambda line="": shown.append(line))
        print_result(result(one, one), whole_path=False)
    assert not [line for line in shown if set("\n\x1b\u202e\ue000\ue001") & set(line)]
    ranks = [line for line in shown if line and not line.startswith("   ")]
    assert [line[:4] for line in ranks[:3]] == ["Best", "✓ 1.", "  2."]
    assert all(line.startswith("path: ") for line in ranks[3:])


def test_the_best_sentence_shares_words_with_the_question(tmp_path: Path, hashing_encoder: Encoder) -> None:
    texts = ["# Fares\n\nThe ferry is old. Dogs pay half of the fare. It is blue.", "The mill is old. Dogs bark there."]
    index = Index.build(
        [Document(f"{k}", "", text) for k, text in enumerate(texts)], tmp_path / "i", encoder=hashing_encoder
    )
    passages = list(index.store)
    question, rows = "What fare do dogs pay?", np.arange(2)
    assert SupportingSentences(index, question, None, rows).best(passages)[0] is not None
    found = SupportingSentences(index, question, index.query(question), rows).best(passages)
    assert all(sentence is not None for sentence in found)
    chosen = [one.text[s.start : s.end] for one, s in zip(passages, found, strict=True) if s is not None]
    assert chosen == ["Dogs pay half of the fare.", "Dogs bark there."]
    for one, sentence in zip(passages, found, strict=True):
        assert sentence is not None
        document = index.store.document(one.document_id).text
        assert document[sentence.document_start : sentence.document_end] == one.text[sentence.start : sentence.end]
    evidence = SearchAgent(index, system="hybrid").search("What fare do dogs pay?").evidence
    assert all(one.sentence is not None for one in evidence)


@pytest.mark.parametrize("command", ["search", "graph", "update", "compact"])
def test_a_folder_of_documents_is_never_called_a_broken_index(command: str, tmp_path: Path, capsys: Capture) -> None:
    docs = tmp_path / "my docs"
    docs.mkdir()
    (docs / "a.md").write_text("Text.")
    (docs / "manifest.json").write_text('{"name": "a web page"}')
    more = {"search": ["What?"], "update": ["--delete", "a"]}.get(command, [])
    before = sorted(path.name for path in docs.iterdir())
    assert main([command, str(docs), *more]) == 1
    said = capsys.readouterr().err
    assert (
        f"is a folder of documents, not an index: make one with trailhound index '{docs}' --out '{docs}.index'" in said
    )
    assert not re.search("delete|remove|again|damaged", said)
    assert sorted(path.name for path in docs.iterdir()) == before
    assert main(["index", str(docs), "--out", str(docs), "--quiet"]) == 1
    said = capsys.readouterr().err
    assert "nothing was changed, choose another --out" in said
    assert "delete" not in said
    assert sorted(path.name for path in docs.iterdir()) == before
