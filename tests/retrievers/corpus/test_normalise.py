import unicodedata

from hypothesis import given
from hypothesis import strategies as st
from trailhound.retrievers.corpus._normalise import normalise

any_text = st.text(st.characters(exclude_categories=[]) | st.sampled_from("\0\r\n\ufeff\ud800\udc00e\u0301"))


def test_line_ends_become_line_feeds() -> None:
    assert normalise("a\r\nb\rc\nd").text == "a\nb\nc\nd"


def test_accents_are_composed() -> None:
    assert normalise("Cafe\u0301").text == "Caf\u00e9"


def test_leading_byte_order_mark_goes_and_an_inner_one_stays() -> None:
    assert normalise("\ufeffa\ufeffb").text == "a\ufeffb"


def test_repairs_are_counted() -> None:
    result = normalise("a\0b\0c\ud800d")
    assert (result.text, result.nul_characters, result.lone_surrogates) == ("abc\ufffdd", 2, 1)


@given(any_text)
def test_result_can_be_stored_and_normalising_again_changes_nothing(text: str) -> None:
    result = normalise(text).text
    result.encode("utf-8")
    assert "\0" not in result
    assert "\r" not in result
    assert unicodedata.is_normalized("NFC", result)
    assert normalise(result).text == result
