"""Masking replaces private data one character for one, everywhere in a document, in linear time."""

from __future__ import annotations

import random
import re
import string
import time
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from trailhound.errors import MaskingError
from trailhound.retrievers.compiling import _masking
from trailhound.retrievers.compiling._masking import KINDS, MASK, Masker, kinds_of, pattern_of, unique_ids
from trailhound.retrievers.records import Document

EVERYTHING = Masker(["all"])
VALUES = ["jane@acme.example", "+49 170 1234567", "4111 1111 1111 1111", "DE89 3704 0044 0532 0130 00", "10.1.2.3"]
VALUES += ["ghp_abcdefghijklmnopqrstuvwxyz0123456789"]
NAMES = ["email", "phone", "card", "iban", "ip", "secret"]


def masked(text: str, masker: Masker = EVERYTHING) -> tuple[str, Counter[str]]:
    counts: Counter[str] = Counter()
    return masker.text(text, counts), counts


def document(masker: Masker, original: Document) -> tuple[Document, Counter[str]]:
    counts: Counter[str] = Counter()
    return masker.document(original, unique_ids(), counts), counts


class TestText:
    @pytest.mark.parametrize(("value", "kind"), list(zip(VALUES, NAMES, strict=True)))
    def test_each_kind_is_masked_only_where_it_was_asked_for(self, value: str, kind: str) -> None:
        text = f"It says ({value}), twice: {value}"
        black = MASK * len(value)
        assert masked(text, Masker([kind])) == (f"It says ({black}), twice: {black}", Counter({kind: 2}))
        assert masked(text, EVERYTHING) == (f"It says ({black}), twice: {black}", Counter({kind: 2}))
        others = [other for other in KINDS if other != kind and not {kind, other} <= {"card", "iban", "phone"}]
        assert masked(text, Masker(others)) == (text, Counter())

    def test_line_breaks_stay(self) -> None:
        key = "-----BEGIN PRIVATE KEY-----\nMIIEowIBAAKCAQEA\r\n-----END PRIVATE KEY-----\n"
        result, counts = masked(f"a\n{key}b")
        assert result == f"a\n{MASK * 27}\n{MASK * 16}\r\n{MASK * 25}\nb"
        assert counts == {"secret": 1}

    @given(st.lists(st.sampled_from([*VALUES, " ", "\n", "word", "1", "=", "password"]) | st.text(max_size=4)))
    def test_length_line_breaks_and_everything_unmasked_stay(self, parts: list[str]) -> None:
        text = "".join(parts)
        result, counts = masked(text)
        assert len(result) == len(text)
        assert all(new in (old, MASK) and (old != "\n" or new == old) for old, new in zip(text, result, strict=True))
        assert bool(counts) == (result != text)

    @given(st.lists(st.sampled_from(VALUES), min_size=1, max_size=6))
    def test_no_value_survives_among_words(self, values: list[str]) -> None:
        result, counts = masked(" and then, ".join(values))
        assert [value for value in values if value in result] == []
        assert counts.total() == len(values)

    def test_what_overlaps_is_masked_whole_and_what_lies_inside_is_counted_once(self) -> None:
        masker = Masker(["card"], {"start": r"No\. \d{4}", "digit": r"\d"})
        result, counts = masked("No. 4111 1111 1111 1111 7", masker)
        assert result == f"{MASK * 23} {MASK}"
        assert counts == {"start": 1, "card": 1, "digit": 1}


class TestOwnPatterns:
    def test_they_are_masked_and_counted_by_name(self) -> None:
        masker = Masker([], {"staff": r"EMP-\d{6}", "project": "(?i)bluebird"})
        assert masked("EMP-123456 runs BlueBird", masker) == (
            f"{MASK * 10} runs {MASK * 8}",
            Counter({"staff": 1, "project": 1}),
        )
        assert masker.names == ("staff", "project")

    @pytest.mark.parametrize(
        ("name", "regex", "message"),
        [
            ("staff", "EMP-(", r"staff=EMP-\( is not a regular expression \(missing \)"),
            ("staff", "x*", "matches the empty string"),
            ("staff", "a|", "matches the empty string"),
            ("email", "x", "cannot be named 'email'"),
            ("all", "x", "cannot be named 'all'"),
            ("7", "x", "cannot be named '7'"),
        ],
    )
    def test_one_that_cannot_be_used(self, name: str, regex: str, message: str) -> None:
        with pytest.raises(MaskingError, match=message):
            Masker([], {name: regex})

    def test_one_that_matches_between_characters_is_no_silent_success(self) -> None:
        with pytest.raises(MaskingError, match="'edge' matched no character"):
            masked("some words", Masker([], {"edge": r"\b"}))

    @pytest.mark.parametrize("regex", ["(.*?,){12}P", "(?:1,|1,1,)+P"])
    def test_one_that_takes_too_long_is_stopped_and_named_with_the_document(
        self, regex: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(_masking, "SECONDS", 0.2)
        slow = Document("notes/slow.txt", "", "1," * 60)
        started = time.monotonic()
        expected = f"notes/slow.txt: the pattern slow={regex} took more than 0.2 s over 120 characters"
        with pytest.raises(MaskingError, match=re.escape(expected)):
            document(Masker([], {"slow": regex}), slow)
        assert time.monotonic() - started < 20

    def test_name_and_regex_are_parted_at_the_first_equals_sign(self) -> None:
        assert pattern_of("id=a=b+") == ("id", "a=b+")
        for wrong in ("id", "=x", "id=", "a b=x", ""):
            with pytest.raises(MaskingError, match="NAME=REGEX"):
                pattern_of(wrong)

    def test_kinds_come_in_one_order_and_unknown_ones_are_refused(self) -> None:
        assert kinds_of(["ip", "email"]) == ("email", "ip")
        assert kinds_of(["all"]) == KINDS
        with pytest.raises(MaskingError, match="'emial'"):
            kinds_of(["emial"])


class TestDocument:
    def test_every_string_of_a_document(self) -> None:
        mail, black = VALUES[0], MASK * len(VALUES[0])
        original = Document(
            f"people/{mail}/cv.txt",
            f"On {mail}",
            f"Mail {mail}.",
            f"people/{mail}/cv.txt:7",
            metadata={mail: [mail, {"deep": {mail: f"<{mail}>"}}], "n": 7, "none": None, "yes": True, "x": 0.5},
        )
        result, counts = document(EVERYTHING, original)
        assert result == Document(
            f"people/{black}/cv.txt",
            f"On {black}",
            f"Mail {black}.",
            f"people/{black}/cv.txt:7",
            metadata={black: [black, {"deep": {black: f"<{black}>"}}], "n": 7, "none": None, "yes": True, "x": 0.5},
        )
        assert counts == {"email": 7}  # the source repeats the id

    def test_numbers_and_what_a_field_says(self) -> None:
        metadata = {
            "card": 4111111111111111,
            "phone": "5551234567",
            "phones": [{"phone": 5551234567}],
            "password": "open sesame",
            "api_key": ["abc", "def"],
            "pages": 123,
            "year": "1999",
            "key": "C major",
        }
        result, counts = document(EVERYTHING, Document("d", "", "text", metadata=metadata))
        assert result.metadata == {
            "card": MASK * 16,
            "phone": MASK * 10,
            "phones": [{"phone": MASK * 10}],
            "password": MASK * 11,
            "api_key": [MASK * 3, MASK * 3],
            "pages": 123,
            "year": "1999",
            "key": "C major",
        }
        assert counts == {"card": 1, "phone": 2, "secret": 3}

    def test_names_of_fields_that_become_alike_are_all_kept(self) -> None:
        result, _ = document(EVERYTHING, Document("d", "", "t", metadata={"a@b.example": 1, "c@d.example": 2}))
        assert result.metadata == {MASK * 11: 1, f"{MASK * 11}~2": 2}

    def test_ids_that_become_alike_stay_apart(self) -> None:
        unused = unique_ids()
        ids = ["a@b.example", "plain", "c@d.example", f"{MASK * 11}~2", "e@f.example"]
        given = [EVERYTHING.document(Document(name, "", "t"), unused, Counter()).id for name in ids]
        black = MASK * 11
        assert given == [black, "plain", f"{black}~2", f"{black}~2~2", f"{black}~3"]

    def test_a_document_without_private_data_is_what_it_was(self) -> None:
        original = Document("d", "Title", "Nothing here.", "f.txt:1", True, {"a": ["b"]})
        assert document(EVERYTHING, original) == (original, Counter())


UNITS = """1|12 |1234 |4111-1111 |a|aB3|a@|@|a.|a@b.|.|:|f:|1.|1:|+|+1|-|(|( 0| |\n|\t|=|password|password=|key |key-
|token=|eyJ|eyJa.|-----BEGIN PRIVATE KEY-----|-----BEGIN PRIVATE KEY-----\\nAAAA|://a:|DE89|DE89 |"|"a@|ghp_|sk-|AKIA
|phone|phone |tel: 1|bearer a|SG.|SG.aaaaaaaaaaaaaaaaaaaa.|é|auth|secret is |00 1|█|\\n| key a1b2|key="|1-800-|a_|12 May
|::|1::|a:|2001:|1.2.3.4|0170 |(0"""


@pytest.mark.parametrize("unit", [*UNITS.split("|"), "digits", "base64"])
def test_time_is_linear_in_what_is_made_to_slow_it(unit: str) -> None:
    rng, alphabet = random.Random(0), string.ascii_letters + string.digits + "+/"

    def seconds(length: int) -> float:
        known = {"digits": string.digits, "base64": alphabet}.get(unit)
        text = "".join(rng.choices(known, k=length)) if known else (unit * length)[:length]
        started = time.process_time()
        EVERYTHING.find(text)
        return time.process_time() - started

    # Quadratic time would take 64 times as long for 8 times the text.
    assert seconds(40_000) < 40 * seconds(5_000) + 0.2
