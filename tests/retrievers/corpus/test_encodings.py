"""Encodings: every text comes out as it was written, and bytes that are no text are refused."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from trailhound.errors import CorpusError
from trailhound.retrievers.corpus._encodings import decode_text

TEXTS = {
    "English": "The caf\u00e9 in the harbour \u2013 \u201copen daily\u201d, 4 \u20ac \u2026",
    "German": "Die Straße führt über die Brücke nach München, größer als früher. Täglich außer Montag geöffnet.",
    "French": "Le café était fermé à Noël. Où êtes-vous allé, garçon?",
    "Spanish": "El niño comió piña en la estación de Málaga; ¿cuándo llegará el autobús?",
    "Danish": "Færgen sejler fra havnen på øen. Prøv også den grønne båd til Århus.",
    "Czech": "Příliš žluťoučký kůň. Trajekt odplouvá z přístavu v sedm hodin ráno a vrací se večer.",
    "Polish": "Prom odpływa z portu o siódmej rano i wraca wieczorem. Bilety są sprzedawane przy latarni.",
    "Hungarian": "A komp reggel hétkor indul a kikötőből és este tér vissza. Őszi színek, tükörfúrógép.",
    "Turkish": "Feribot sabah yedide limandan ayrılır ve akşam döner. Biletler deniz fenerinin yanında ücretsizdir.",
    "Russian": "Паром отходит от пристани в семь утра и возвращается вечером. Билеты продаются в кассе у маяка.",
    "Greek": "Το πλοίο αναχωρεί από το λιμάνι στις επτά το πρωί και επιστρέφει το βράδυ.",
    "Hebrew": "המעבורת יוצאת מהנמל בשבע בבוקר וחוזרת בערב. הכרטיסים נמכרים ליד המגדלור.",
    "Arabic": "تغادر العبارة الميناء في الساعة السابعة صباحا وتعود مساء. تباع التذاكر بجانب المنارة.",
    "Thai": "เรือเฟอร์รี่ออกจากท่าเรือเวลาเจ็ดโมงเช้าและกลับมาในตอนเย็น",
    "Japanese": "フェリーは朝七時に港を出発し、夕方に戻ります。切符は灯台のそばの窓口で販売しています。",
    "Chinese": "渡轮早上七点从港口出发，傍晚返回。船票在灯塔旁的窗口出售，儿童免费乘坐。",
    "Korean": "여객선은 아침 일곱 시에 항구를 출발하여 저녁에 돌아옵니다. 표는 등대 옆 매표소에서 판매합니다.",
}
LEGACY = {
    "English": ["cp1252"],
    "German": ["cp1252", "latin-1", "cp850", "mac_roman"],
    "French": ["cp1252", "latin-1", "mac_roman"],
    "Spanish": ["cp1252", "latin-1"],
    "Danish": ["cp1252", "latin-1"],
    "Czech": ["cp1250", "iso8859-2"],
    "Polish": ["cp1250", "iso8859-2"],
    "Hungarian": ["cp1250", "iso8859-2"],
    "Turkish": ["cp1254"],
    "Russian": ["cp1251", "koi8-r", "cp866"],
    "Greek": ["cp1253"],
    "Hebrew": ["cp1255"],
    "Arabic": ["cp1256"],
    "Thai": ["cp874"],
    "Japanese": ["shift_jis", "euc_jp", "iso2022_jp"],
    "Chinese": ["gb18030"],
    "Korean": ["euc_kr"],
}
UNICODE = ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le"]


@pytest.mark.parametrize(("language", "encoding"), [(name, one) for name in LEGACY for one in LEGACY[name]])
@pytest.mark.parametrize("times", [1, 20])
def test_texts_of_many_languages_come_out_as_they_were_written(language: str, encoding: str, times: int) -> None:
    text = f"{TEXTS[language]}\n" * times
    found = decode_text(text.encode(encoding), Path("x"))
    assert found.text == text
    assert found.note == f"read as {found.encoding}"


@pytest.mark.parametrize("encoding", UNICODE)
@pytest.mark.parametrize("language", TEXTS)
def test_unicode_is_read_with_and_without_a_mark(language: str, encoding: str) -> None:
    text = f"{TEXTS[language]}\nsecond line\n"
    assert decode_text(text.encode(encoding), Path("x")).text == text


@given(st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=300))
def test_any_utf8_is_read_as_it_is(text: str) -> None:
    assert decode_text(text.encode(), Path("x")) == (text.removeprefix("\ufeff"), None, 0)


@given(st.binary(max_size=3000))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    with suppress(CorpusError):
        found = decode_text(data, Path("x.txt"))
        assert found.text or not data.strip(b"\xef\xbb\xbf\xff\xfe\0")


def test_a_few_bad_bytes_in_utf8_are_replaced_and_counted() -> None:
    found = decode_text("größer, schöner, weiter über Brücken".encode() + b" \xff end", Path("x"))
    assert found.text == "größer, schöner, weiter über Brücken \ufffd end"
    assert found.note == "1 places that are not valid were replaced by U+FFFD"


@pytest.mark.parametrize(
    ("declared", "text"), [("iso-8859-2", "ą"), ("windows-1251", "ж"), ("no-such", "\u00b1"), (None, "\u00b1")]
)
def test_a_declaration_is_asked_before_a_guess(declared: str | None, text: str) -> None:
    data = text.encode({"ą": "iso8859-2", "ж": "cp1251"}.get(text, "cp1252"))
    assert decode_text(data, Path("x"), declared).text == text


@pytest.mark.parametrize("data", [b"\x7fELF\0\1\2\3" * 9, bytes(range(256)) * 9, b"\0" * 99])
def test_programs_and_pictures_are_no_text(data: bytes) -> None:
    with pytest.raises(CorpusError, match="is no text"):
        decode_text(data, Path("x"))
