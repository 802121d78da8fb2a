"""Private data is told from the numbers and words that look like it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from ipaddress import IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st
from trailhound.retrievers.compiling._private_data import Span, cards, emails, ibans, ip_addresses, phones

Finder = Callable[[str], Iterator[Span]]

FOUND: list[tuple[Finder, str, list[str]]] = [
    (emails, "Write to jane.doe+x@mail.acme-corp.co.uk, or <b@x.io>.", ["jane.doe+x@mail.acme-corp.co.uk", "b@x.io"]),
    (emails, 'His is "john doe"@example.org; hers: žofie@přiklad.cz', ['"john doe"@example.org', "žofie@přiklad.cz"]),
    (phones, "+49 170 1234567 or +1 (212) 555-0142 42 people", ["+49 170 1234567", "+1 (212) 555-0142"]),
    (phones, "0049 30 1234567, (212) 555-0142, 212.555.0142", ["0049 30 1234567", "(212) 555-0142", "212.555.0142"]),
    (phones, "020 7946 0018; 0170/1234567; 01 23 45 67 89", ["020 7946 0018", "0170/1234567", "01 23 45 67 89"]),
    (phones, "tel: 5551234, Phone 98765 43210, call me at 7700900", ["5551234", "98765 43210", "7700900"]),
    (cards, "4111 1111 1111 1111, 378282246310005", ["4111 1111 1111 1111", "378282246310005"]),
    (cards, "card 12: 5500-0000-0000-0004 until 2029", ["5500-0000-0000-0004"]),
    (cards, "paid 25 4012888888881881 2021", ["4012888888881881"]),
    (cards, "3782 822463 10005 and 6304000000000000", ["3782 822463 10005", "6304000000000000"]),
    (ibans, "DE89 3704 0044 0532 0130 00 is mine", ["DE89 3704 0044 0532 0130 00"]),
    (ibans, "to gb82west12345698765432.", ["gb82west12345698765432"]),
    (ip_addresses, "from 192.168.10.7 and 10.0.0.1.", ["192.168.10.7", "10.0.0.1"]),
    (ip_addresses, "2001:db8::ff00:42:8329 and fe80::1.", ["2001:db8::ff00:42:8329", "fe80::1"]),
    (ip_addresses, "::1 or [2001:db8::]:80 or ::ffff:10.0.0.1", ["10.0.0.1", "::1", "2001:db8::", "::ffff:10.0.0.1"]),
]

LEFT_ALONE = """
In 1939-1945 and from 1990 to 2001; 1990 1991 1992 1993; 2001-2003, the 1980s.
Dates: 02/03/2004 10:15, 01.02.2003, 2004-03-02T10:15:30, 03 April 1999.
ISBN 978-0-306-40615-7, ISBN 0-306-40615-2, 9780306406157, 978 3 16 148410 0, ISSN 0317-8471.
Python 3.11.4, v1.2.3.4, version 1.2.3.4, Windows 10.0.19041.1237, section 4.3.2.1, OID 1.3.6.1.4.1.343.
Populations 1,234,567 and 8 336 817; 100 000 000 km; 0.5-0.75; pp. 123-456; 555 people; 12345-6789; 3.14159265358979.
At 12:30:45 he wrote std::vector and Dead::Beef, a ratio of 16:9, Matthew 5:3-12, 00:1B:44:11:3A:B7.
Follow @trailhound, cost is $@ 5.00, a@b, x@localhost; Donaudampfschifffahrtsgesellschaftskapitän.
Order 4111111111111112, serial 12345678901234567890123456789012, 0000 0000 0000 0000.
GB82 WEST 1234 5698 7654 33, US12 3456 7890 1234, AB12 is a road, flight LH2020.
256.1.1.1 and 1.2.3 and 999.10.10.10; Call 911. Phone 5 for help, phones since 1876, in 1999 2000 they rang.
"""


@pytest.mark.parametrize(("finder", "text", "values"), FOUND)
def test_what_is_private_is_found_whole_and_alone(finder: Finder, text: str, values: list[str]) -> None:
    assert [text[start:end] for start, end in finder(text)] == values


@pytest.mark.parametrize("finder", [emails, phones, cards, ibans, ip_addresses])
def test_years_isbns_versions_and_long_words_are_left_alone(finder: Finder) -> None:
    assert [LEFT_ALONE[start:end] for start, end in finder(LEFT_ALONE)] == []


def luhn(digits: str) -> bool:
    """Judge by the table of doubled digits, another way than the code's."""
    table = [0, 2, 4, 6, 8, 1, 3, 5, 7, 9]
    return sum(table[int(c)] if place % 2 else int(c) for place, c in enumerate(reversed(digits))) % 10 == 0


@given(st.text("0123456789", min_size=10, max_size=22))
def test_a_number_is_a_card_when_its_length_and_check_digit_say_so(digits: str) -> None:
    book = digits[:3] in ("978", "979") and len(digits) == 13
    time = digits[0] == "1" and len(digits) == 13
    expected = 13 <= len(digits) <= 19 and luhn(digits) and any(c != "0" for c in digits) and not time
    if not book:
        assert list(cards(f"No. {digits}, please")) == ([(4, 4 + len(digits))] if expected else [])


@given(st.text("0123456789", min_size=15, max_size=15))
def test_grouping_does_not_hide_a_card(body: str) -> None:
    number = next(body + check for check in "0123456789" if luhn(body + check))
    groups = [number[place : place + 4] for place in range(0, 16, 4)]
    years = all(re.fullmatch("(1[0-9]|20)..", group) for group in groups)
    for joint in (" ", "-", ".", " - ", "\n"):
        text = f"See {joint.join(groups)}."
        assert list(cards(text)) == ([] if years or not int(number) else [(4, len(text) - 1)])


@given(st.text("0123456789", min_size=18, max_size=18))
def test_check_digits_decide_about_an_iban(account: str) -> None:
    check = 98 - int(f"{account}131400") % 97  # DE is 13 14; ISO 7064 the textbook way
    right, wrong = f"DE{check:02}{account}", f"DE{check % 97 + 1:02}{account}"
    assert list(ibans(f"({right})")) == [(1, 23)]
    assert wrong == right or list(ibans(f"({wrong})")) == []


@given(st.integers(0, 2**128 - 1).map(IPv6Address))
def test_every_way_of_writing_an_ipv6_address(address: IPv6Address) -> None:
    for written in {str(address), address.exploded, str(address).upper()}:
        text = f"at {written}, port 80"
        if any(map(str.isdigit, written)):
            assert text[slice(*next(iter(ip_addresses(text))))] == written
