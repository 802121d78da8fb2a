"""Credentials are told from words about credentials."""

from __future__ import annotations

import random
import string

import pytest
from trailhound.retrievers.compiling._private_data import credentials, is_random, names_a_credential

KEY = "-----BEGIN RSA PRIVATE KEY-----\nMIIEowIBAAKCAQEAxyz\nQmFzZTY0\n-----END RSA PRIVATE KEY-----"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.abc_def-123"

SECRETS = [
    (f"Before\n{KEY}\nafter", KEY),
    ("-----BEGIN PRIVATE KEY-----\\nMIIEvQIBADANBgkqhkiG9w0B\\nAQEF== ends", None),
    ("id AKIAIOSFODNN7EXAMPLE.", "AKIAIOSFODNN7EXAMPLE"),
    ("push with ghp_abcdefghijklmnopqrstuvwxyz0123456789!", "ghp_abcdefghijklmnopqrstuvwxyz0123456789"),
    ("bot xoxb-123456789012-abcdefGHIJKL", "xoxb-123456789012-abcdefGHIJKL"),
    ("maps AIzaSyA1234567890abcdefghijklmnopqrstuv,", "AIzaSyA1234567890abcdefghijklmnopqrstuv"),
    (f"Cookie {JWT}", JWT),
    ("password = hunter2", "hunter2"),
    ("DB_PASSWORD: swordfish", "swordfish"),
    ('"passwd": "correct horse battery"', "correct horse battery"),
    ("the password is tr0ub4dor", "tr0ub4dor"),
    ("client_secret='abc def'", "abc def"),
    ("aws_secret_access_key=wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
    ("postgres://u:s3cr3t@host/db", "s3cr3t"),
    ("the API key for production is Zx9Qp2Lm7Rt4Vb8Kd1", "Zx9Qp2Lm7Rt4Vb8Kd1"),
    ("Authorization: Bearer 9f86d081884c7d659a2feaa0c55ad015", "9f86d081884c7d659a2feaa0c55ad015"),
]
NO_SECRETS = """
The secret of the island was kept. The token was lost; the key to success is hard work. A password is required.
Enter your password: the one you chose. Token: none. password = None. The password has been changed.
Key internationalization-and-localization works, with authentication and authorisation, key Donaudampfschifffahrt.
Secretary: John Smith. The secret: nobody knew. Public key cryptography since 1976. Key: C major.
The keyword antidisestablishmentarianism; a basic understanding; sk-ill, eyJ, AKIA, ghp_, monkey business.
The commit 9f86d081884c7d659a2feaa0c55ad015 is old. -----BEGIN CERTIFICATE----- passes passengers passport.
"""


@pytest.mark.parametrize(("text", "value"), SECRETS)
def test_a_credential_is_found(text: str, value: str | None) -> None:
    covered = set[int]()
    for start, end in credentials(text):
        covered.update(range(start, end))
    value = text[: text.index(" ends")] if value is None else value
    start = text.index(value)
    assert covered == set(range(start, start + len(value)))


def test_words_about_credentials_are_left_alone() -> None:
    assert [NO_SECRETS[start:end] for start, end in credentials(NO_SECRETS)] == []


def test_random_strings_are_told_from_words_and_numbers() -> None:
    rng = random.Random(0)
    for alphabet in (
        string.hexdigits[:16],
        string.ascii_letters + string.digits,
        string.ascii_lowercase + "0123456789",
    ):
        made = ["".join(rng.choices(alphabet, k=32)) for _ in range(200)]
        assert sum(map(is_random, made)) >= 195
    words = ["internationalization", "1234567890123456789", "2001-02-03-report-final", "aaaaaaaaaaaaaaaa1", "short1a"]
    assert [word for word in words if is_random(word)] == []


@pytest.mark.parametrize("field", ["password", "DB_PASSWORD", "api_key", "apiKey", "client-secret", "token"])
def test_fields_that_hold_credentials(field: str) -> None:
    assert names_a_credential(field)


@pytest.mark.parametrize("field", ["title", "keywords", "secretary", "tokens_used", "passage", ""])
def test_fields_that_do_not(field: str) -> None:
    assert not names_a_credential(field)
