"""Passages and questions are cut by one analyser: whatever a passage says, a question that quotes it finds it."""

from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from trailhound.retrievers.records import Query
from trailhound.retrievers.words._analyser import LONGEST_TERM, STOP_WORDS, identifiers, terms, words
from trailhound.retrievers.words._lexical import LexicalIndex

FILL = [("", f"Note {n} speaks about gardens, rivers, bridges and trains in town number {n}.") for n in range(12)]
SHA = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"

# passage, questions that must find it first
FOUND = [
    (f"The archive of build Kestrel was verified against {SHA} before shipping.", [SHA, f"Which build has {SHA}?"]),
    ("The photo\u00adsynthesis of algae and the zero\u200bwidth mark.",
     ["photosynthesis", "zerowidth", "photo\u00adsynthesis"]),
    ("The oﬃce of ﬁnance keeps the eﬀective ﬂow chart of the waﬄe plant.", ["office finance", "effective flow waffle"]),
    ("Ｆｕｌｌｗｉｄｔｈ letters ＡＢＣ１２３ in the ledger, x² and H₂O.", ["fullwidth", "ABC123", "H2O", "x2"]),
    ("Say it by e\u2011mail with a non\u2011breaking hyphen.", ["e-mail", "email", "non-breaking"]),
    ("The café résumé of Zoë Müller mentions the façade in São Paulo and Łódź.",
     ["café", "cafe", unicodedata.normalize("NFD", "café"), "resume Zoe Muller", "facade", "Lodz"]),
    ("İstanbul Boğazı'nda DIYARBAKIR treni, Iğdır.", ["İstanbul", "istanbul", "Istanbul", "diyarbakir", "Iğdır"]),
    ("Die Straße heißt Große Gasse.", ["STRASSE", "Straße", "grosse"]),
    ("東京都の機械学習研究所は新しい検索方法を発表した。", ["東京", "機械学習", "検索方法を発表", "京"]),
    ("हिन्दी साहित्य का इतिहास। दिल्ली भारत की राजधानी है।", ["हिन्दी", "दिल्ली"]),
    ("กรุงเทพมหานครเป็นเมืองหลวงของประเทศไทย", ["กรุงเทพ", "เมืองหลวง"]),
    ("서울특별시는 대한민국의 수도이다", ["서울", "대한민국"]),
    ("الكِتَابُ مُفِيدٌ جِدّاً في المكتبة العامة.", ["الكتاب مفيد", "الكِتَابُ"]),
    ("O\u2019Neill\u2019s report doesn\u2019t mention it.", ["O'Neill", "ONeill", "O\u2019Neill\u2019s"]),
    ("Read headers with parse_http_header of the wire module.",
     ["parse_http_header", "parseHttpHeader"]),
    ("The class XmlHttpRequestFactoryBuilder builds it.",
     ["XmlHttpRequestFactoryBuilder", "request factory", "xml_http_request_factory_builder"]),
    ("Error ERR_CONN_RESET-104 means that the peer left.", ["ERR_CONN_RESET-104", "what is err_conn_reset-104?"]),
    ("Part number AB-1234-X/9 fits the old pump.", ["AB-1234-X/9", "AB1234X9"]),
    ("ISBN 978-3-16-148410-0 names the book.", ["978-3-16-148410-0", "9783161484100"]),
    ("Set it in src/app/config.yaml by hand.", ["src/app/config.yaml", "config.yaml", "app config"]),
    ("The runtime is version 8.0.11 and the tool v2.7.", ["8.0.11", "v2.7", "2.7"]),
    ("We compile C++ here.", ["C++", "What is C++?"]),
    ("Visit https://example.org/docs/v1/start.html?lang=en soon.",
     ["https://example.org/docs/v1/start.html", "start.html", "example.org"]),
    ("Ask joe.doe@example.com about AT&T.", ["joe.doe@example.com", "AT&T", "example.com"]),
    ("It takes 1,234,567 steps.", ["1,234,567", "1234567"]),
    ("The arrow a → b and the rocket 🚀.", ["→", "🚀"]),
    ("Das Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft.",
     ["Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft"]),
    ("To be or not to be: they said it.", ["to be or not to be"]),
]  # fmt: skip

RIVALS = [
    ("", "The header of the letter: please parse this. HTTP is a protocol, and the header header is long."),
    ("", "Pump X 1234 liters; AB blood group; X marks. 1234 is a number, 9 too."),
    ("", "Take 978 or 3 or 16 of these, 0 left, 148410 in total. Version 8 and 0 and 11."),
    ("", "Plain C is not compiled: c11 and c99 of C. The err was a conn and a reset; 104 of them."),
]


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> LexicalIndex:
    folder = tmp_path_factory.mktemp("words") / "lexical"
    LexicalIndex.build(folder, [*RIVALS, *FILL, *(("", text) for text, _ in FOUND)])
    return LexicalIndex(folder)


@pytest.mark.parametrize(
    ("row", "question"), [(row, question) for row, (_, questions) in enumerate(FOUND) for question in questions]
)
def test_what_a_passage_says_is_found_however_it_is_written(index: LexicalIndex, row: int, question: str) -> None:
    assert index.search(Query(question), 3).rows[:1].tolist() == [row + len(RIVALS) + len(FILL)]


def test_identifiers_are_found_whole_and_in_parts() -> None:
    assert words("parse_http_header") == ["pars", "http", "header"]
    assert terms("parse_http_header").forms == ("parse_http_header", "parsehttphead")
    assert words("HTTPServer2") == ["httpserver2", "http", "server", "2"]
    assert "ab1234x9" in terms("AB-1234-X/9").forms
    assert "config.yaml" in terms("src/app/config.yaml").forms


def test_terms_are_no_longer_than_they_may_be() -> None:
    for text in ("a" * 600, "é" * 600, "東" * 600, "a-" * 600, "̈".join("a" * 600), "A" + "\u0301" * 2000, "_" * 600):
        found = terms(text)
        assert found.words or found.forms
        assert all(len(term.encode()) <= LONGEST_TERM for term in (*found.words, *found.forms))
        assert not any(any(map(str.isspace, term)) for term in (*found.words, *found.forms))


def test_a_stop_word_is_never_the_stem_of_another_word() -> None:
    assert words("doe does wills will beings") == ["doe", "does", "wills", "will", "beings"]
    assert [word for word in words("Does John Doe?") if word not in STOP_WORDS] == ["john", "doe"]


def test_masked_characters_say_nothing() -> None:
    assert terms("call █████ now") == terms("call now")


WORDLIKE = st.text(
    st.one_of(
        st.characters(codec="utf-8", exclude_characters="\0"),
        st.sampled_from("aZ9_-./\\:@+#&'’\u00ad\u200b\u0301\u3099東ก한ﬁŁßİ²½🚀 \n\u3000"),
    ),
    min_size=1,
    max_size=60,
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(WORDLIKE, min_size=1, max_size=6), st.data())
@example(["a\u0301b c"], None)
def test_a_question_that_quotes_a_passage_finds_it(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str], data: st.DataObject | None
) -> None:
    text = " ".join(texts)
    stretches = text.split()
    first, last = 0, len(stretches)
    if data is not None and stretches:
        first = data.draw(st.integers(0, len(stretches) - 1))
        last = data.draw(st.integers(first + 1, len(stretches)))
    quote = " ".join(stretches[first:last])
    asked, said = terms(quote), terms(text)
    assert set(asked.words) <= set(said.words)
    assert set(asked.forms) <= set(said.forms)
    if re.search(r"\w", unicodedata.normalize("NFKC", quote)):
        assert asked.words or asked.forms
    folder = tmp_path_factory.mktemp("quoted") / "lexical"
    LexicalIndex.build(folder, [("", text), ("", "something else entirely")], 2)
    if asked.words or asked.forms:
        assert 0 in LexicalIndex(folder).search(Query(quote), 2).rows


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("What is AB-1234-X/9?", ["ab-1234-x/9"]),
        ("use parse_http_header and parseHttpHeader", ["parse_http_header", "parsehttphead"]),
        ("self.foo_bar(x)", ["self.foo_bar"]),
        ("E0308 since 8.0.11, see src/app/config.yaml", ["e0308", "8.0.11", "src/app/config.yaml"]),
        (f"sum {SHA}", [SHA]),
        ("Is C++ or C# older?", ["c++", "c#"]),
        ("mail joe@example.com", ["joe@example.com"]),
        ("YouTube, iPhone, McDonald and O'Neill in the 20th and the 1990s", []),
        ("a well-known 3-year-old in 1971 and 1970-71, and/or mid-1990s", []),
        ("The U.S. has 1,234 e.g. 2.5 km", []),
    ],
)
def test_identifiers_are_told_from_words_and_numbers(text: str, names: list[str]) -> None:
    found = identifiers(text)
    assert [one.terms[0] for one in found] == names
    assert all(text[one.start : one.end].strip() for one in found)
