"""What is too much, or comes from elsewhere, is refused in one shape; every response has its headers."""

from __future__ import annotations

import socket

import pytest
from fixtures.served import PATIENCE, Client
from trailhound.serving._settings import LONGEST_BODY, LONGEST_QUESTION

AT = "/v1/workspaces/isles"


@pytest.mark.parametrize("path", ["/", "/docs", "/page/app.js", "/v1/models", "/nowhere", f"{AT}/documents/nowhere"])
def test_every_response_has_the_headers_that_keep_browsers_safe(client: Client, path: str) -> None:
    headers = client("GET", path).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["content-security-policy"].startswith("default-src 'self';")


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/nowhere", None, 404),
        ("PUT", "/v1/models", None, 405),
        ("POST", f"{AT}/search", b"{torn", 422),
        ("POST", f"{AT}/search", {}, 422),
        ("POST", f"{AT}/search", {"question": "   "}, 422),
        ("POST", f"{AT}/search", {"question": "a\0b"}, 422),
        ("POST", f"{AT}/search", {"question": "x" * (LONGEST_QUESTION + 1)}, 422),
        ("POST", f"{AT}/search", {"question": "x", "limit": 1001}, 422),
        ("POST", f"{AT}/search", {"question": "x", "limit": "5"}, 422),
        ("POST", f"{AT}/search", {"question": "x", "mode": "fast"}, 422),
        ("POST", f"{AT}/search", {"question": "x", "seconds": -1}, 422),
        ("POST", "/v1/workspaces/nowhere/search", {"question": "x"}, 404),
        ("GET", f"{AT}/documents?limit=0", None, 422),
        ("GET", "/page/../_app.py", None, 404),
        ("GET", "/page/%2e%2e/_app.py", None, 404),
    ],
)
def test_errors_have_one_shape(client: Client, method: str, path: str, body: object, status: int) -> None:
    refused = client(method, path, body)
    assert refused.status == status
    assert set(refused.json) == {"error"}
    assert set(refused.json["error"]) == {"type", "message"}
    assert refused.json["error"]["message"]
    assert b"Traceback" not in refused.content


def test_the_longest_question_is_answered(client: Client) -> None:
    assert client.search("lamp " * (LONGEST_QUESTION // 5), limit=1).status == 200


def test_a_body_that_says_it_is_too_large_is_refused_unread(client: Client) -> None:
    refused = client("POST", f"{AT}/search", b"x", Content_Length=str(LONGEST_BODY + 1))
    assert (refused.status, refused.json["error"]["type"]) == (413, "TooLarge")


@pytest.mark.parametrize("kind", ["application/json", "multipart/form-data; boundary=cut"])
def test_a_body_that_says_nothing_of_its_size_is_counted(client: Client, kind: str) -> None:
    start = b'--cut\r\nContent-Disposition: form-data; name="files"; filename="a"\r\n\r\n'
    left = LONGEST_BODY + 1 - len(start)
    with socket.create_connection(("127.0.0.1", client.port), timeout=PATIENCE) as connection:
        head = f"POST {AT}/documents HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\n"
        connection.sendall(f"{head}Transfer-Encoding: chunked\r\n\r\n".encode())
        for size in (len(start), *[100_000] * (left // 100_000), left % 100_000):
            connection.sendall(f"{size:x}\r\n".encode() + start.ljust(size, b"x") + b"\r\n")
        assert connection.recv(65536).startswith(b"HTTP/1.1 413 ")
    assert client("GET", "/health/live").status == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "localhost"}, 200),
        ({"Host": "[::1]:8008"}, 200),
        ({"Host": "evil.example"}, 421),
        ({"Host": "127.0.0.1.evil.example"}, 421),
        ({"Host": "localhost", "Origin": "http://localhost"}, 200),
        ({"Host": "localhost", "Origin": "http://evil.example"}, 403),
        ({"Host": "localhost:80", "Origin": "http://localhost:81"}, 403),
        ({"Host": "localhost", "Origin": "null"}, 403),
    ],
)
def test_without_keys_only_this_machine_and_this_page_may_ask(
    client: Client, headers: dict[str, str], status: int
) -> None:
    assert client("GET", "/v1/models", **headers).status == status
