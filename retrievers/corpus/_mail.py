"""Mails: their subject, who wrote to whom and when, what they say, and the texts that are attached."""

from __future__ import annotations

import re
from collections.abc import Iterator
from email import message_from_bytes, policy
from email.message import Message
from pathlib import Path

from ...errors import CorpusError
from ._encodings import decode_text
from ._html import declared_encoding, html_to_text
from ._read_text import ReadText

_HEADERS = ("From", "To", "Cc", "Date")
_DEEPEST = 20
_HEADER_LINE = re.compile(rb"(?:From [^\n]*\n)?[!-9;-~]+[ \t]*:")


def read_mail(data: bytes, path: Path) -> ReadText:
    """Read a mail as RFC 5322 and MIME have it.

    Raises:
        CorpusError: it has no header.
    """
    data = data.lstrip()
    if not _HEADER_LINE.match(data):
        raise CorpusError("is no mail: it does not begin with a header", path)
    mail = _Mail(path)
    message = message_from_bytes(data, policy=policy.default)
    blocks = list(mail.blocks(message, 0))
    text = "\n\n".join(block for block in blocks if block.strip())
    left_out = (("attachments of mails", mail.left_out),) if mail.left_out else ()
    return ReadText(_header(message, "Subject"), text, "markdown" if mail.has_html else "plain", left_out=left_out)


def _header(message: Message, name: str) -> str:
    """Return a header in one line; as it is written where it cannot be parsed."""
    try:
        value = str(message.get(name) or "")
    except (ValueError, LookupError, AttributeError, TypeError):
        value = next((str(raw) for key, raw in message.raw_items() if key.lower() == name.lower()), "")
    return " ".join(value.split())


class _Mail:
    """Gathers the parts of a mail.

    Attributes:
        has_html: whether a part was HTML, so that the text is Markdown.
        left_out: how many attachments are named only.
    """

    def __init__(self, path: Path) -> None:
        self.has_html = False
        self.left_out = 0
        self._path = path

    def blocks(self, message: Message, depth: int) -> Iterator[str]:
        """Yield the headers of a mail and what it says."""
        if depth:
            yield _header(message, "Subject")
        lines = [f"{name}: {value}" for name in _HEADERS if (value := _header(message, name))]
        yield "\n".join(lines)
        yield from self._part(message, depth)

    def _part(self, part: Message, depth: int) -> Iterator[str]:
        kind = part.get_content_type()
        if depth > _DEEPEST:
            raise CorpusError(f"has parts in parts more than {_DEEPEST} deep: leave it out", self._path)
        if kind == "message/rfc822":
            for inner in _inner(part):
                yield from self.blocks(inner, depth + 1)
        elif kind == "multipart/alternative":
            yield from self._alternative(part, depth)
        elif part.is_multipart():
            for inner in _inner(part):
                yield from self._part(inner, depth + 1)
            yield (part.epilogue or "").strip()
        else:
            yield from self._leaf(part, kind)

    def _alternative(self, part: Message, depth: int) -> Iterator[str]:
        """Yield the first of several forms of the same that says something, plain text before others."""
        forms = sorted(_inner(part), key=lambda form: form.get_content_type() != "text/plain")
        for form in forms:
            blocks = [block for block in self._part(form, depth + 1) if block.strip()]
            if blocks:
                yield from blocks
                return

    def _leaf(self, part: Message, kind: str) -> Iterator[str]:
        name = " ".join((part.get_filename() or "").split())
        content = part.get_payload(decode=True)
        content = content if isinstance(content, bytes) else b""
        # A mail that says it has parts, and has none, has its text as its content.
        is_text = part.get_content_maintype() in ("text", "multipart", "message")
        text = self._text(part, kind, content) if is_text else None
        if name:
            yield f"Attachment: {name}"
        if text is None:
            self.left_out += bool(content)
        else:
            yield text

    def _text(self, part: Message, kind: str, content: bytes) -> str | None:
        try:
            if kind == "text/html":
                decoded = decode_text(content, self._path, part.get_content_charset() or declared_encoding(content))
                self.has_html = True
                return html_to_text(decoded.text).text
            decoded = decode_text(content, self._path, part.get_content_charset())
        except CorpusError:  # a part that is no text in spite of its name
            return None
        return decoded.text.replace("\r\n", "\n").strip("\n")


def _inner(part: Message) -> list[Message]:
    payload = part.get_payload()
    return [one for one in payload if isinstance(one, Message)] if isinstance(payload, list) else []
