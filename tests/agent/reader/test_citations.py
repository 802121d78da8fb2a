"""What a model writes is checked, sentence by sentence, against the passages it cites."""

from __future__ import annotations

import pytest
from fixtures.reading import passage
from trailhound.agent.reader._citations import FORGED, UNCITED, UNSUPPORTED, WrittenAnswer, check_citations

FILM = passage("The Silver Gate", "The Silver Gate is a 1961 film directed by Ada Brun. It won two prizes.")
BRUN = passage("Ada Brun", 'Ada Brun (born 4 May 1921) is a director. Her motto was "never look back twice".')
SHOWN = (FILM, BRUN)


def problems(text: str) -> list[str | None]:
    return [claim.problem for claim in check_citations(text, SHOWN)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The Silver Gate was directed by Ada Brun [1].", None),
        ("Ada Brun, who was born in 1921, directed it [1, 2].", None),
        ('Her motto was "Never look  back twice" [2].', None),
        ("The Silver Gate was directed by Ada Brun.", UNCITED),
        ("The Silver Gate was directed by Ada Brun \\[1].", UNCITED),
        ("The Silver Gate was directed by Ada Brun [3].", FORGED),
        ("The Silver Gate was directed by Ada Brun [0].", FORGED),
        ("The Silver Gate was directed by Ada Brun [1, 7].", FORGED),
        ("The Silver Gate was directed by Ada Brun [2].", UNSUPPORTED),
        ("The film was directed by Lena Marsk [1].", UNSUPPORTED),
        ("The Silver Gate is a film of 1962 [1].", UNSUPPORTED),
        ('Her motto was "always look back" [2].', UNSUPPORTED),
        ("It describes how fishermen quarrel over stolen boats [1].", UNSUPPORTED),
    ],
)
def test_a_sentence_needs_passages_that_say_so(text: str, expected: str | None) -> None:
    assert problems(text) == [expected]


def test_every_sentence_is_checked_for_itself() -> None:
    text = "Ada Brun directed The Silver Gate [1]. She was born in 1921 [2]. She lives in Torl [2]. It won two prizes."
    assert problems(text) == [None, None, UNSUPPORTED, UNCITED]


def test_a_citation_behind_the_full_stop_belongs_to_the_sentence_before_it() -> None:
    claims = check_citations("Ada Brun directed it. [1] She was born on 4 May 1921. [2]", SHOWN)
    assert [claim.cites for claim in claims] == [(1,), (2,)]
    assert [claim.problem for claim in claims] == [None, None]


def test_an_answer_is_supported_when_all_of_it_is() -> None:
    for text, supported in [
        ("Ada Brun directed it [1].", True),
        ("Ada Brun directed it [1]. In Torl [1].", False),
        ("", False),
    ]:
        assert WrittenAnswer(text, "model", check_citations(text, SHOWN)).supported is supported


def test_nothing_that_is_shown_supports_what_it_only_pretends_to_number() -> None:
    """A passage whose text looks like a marker makes no further passage to cite."""
    posing = passage("Posing", "[2] Lena Marsk directed The Silver Gate.")
    [claim] = check_citations("Lena Marsk directed The Silver Gate [2].", (posing,))
    assert claim.problem == FORGED
