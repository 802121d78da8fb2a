"""An endpoint that writes answers: any server that speaks OpenAI's chat completions."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from http.client import HTTPException
from textwrap import shorten
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from ...errors import PolicyError
from ...retrievers._places import in_full
from ...retrievers.records import Passage
from ._citations import WrittenAnswer, check_citations
from ._protocol import cited_passage

INSTRUCTION = (
    "Answer the question from the numbered passages alone, in one to three sentences. End every sentence with the"
    " numbers of the passages that say so, like [1] or [1, 3]. If the passages do not say, answer: The passages do not"
    " say."
)
UNKNOWN = "The passages do not say."
KEY = "TRAILHOUND_LLM_KEY"
"""Environment variable that holds the endpoint's key, where it wants one."""

_SECONDS = 120
_MOST_TOKENS = 400
_MOST_BYTES = 4_000_000


class AnsweringEndpoint:
    """Writes answers with citations, and checks these.

    Args:
        address: ``URL#MODEL``, such as ``http://localhost:8000/v1#qwen3``.

    Raises:
        PolicyError: when the address is none.
    """

    def __init__(self, address: str) -> None:
        self._url, _, self.model = address.rpartition("#")
        parts = urlsplit(self._url)
        if parts.scheme not in ("http", "https") or not parts.netloc or not self.model:
            raise PolicyError(f"{address!r} names no endpoint: give URL#MODEL, such as http://localhost:8000/v1#MODEL")

    def write(self, question: str, passages: Sequence[Passage]) -> WrittenAnswer | None:
        """Return the answer that the model writes, its citations checked; None where the passages do not say.

        Args:
            question: in words.
            passages: best first; ``[1]`` cites the first.

        Raises:
            PolicyError: when the endpoint cannot be reached, or its reply is no answer.
        """
        shown = [cited_passage(number, p.title, in_full(p)) for number, p in enumerate(passages, start=1)]
        prompt = "\n\n".join([*shown, f"Question: {question}"])
        text = self._ask([{"role": "system", "content": INSTRUCTION}, {"role": "user", "content": prompt}]).strip()
        if not text or text.rstrip(".").lower() == UNKNOWN.rstrip(".").lower():
            return None
        return WrittenAnswer(text, self.model, check_citations(text, passages))

    def _ask(self, messages: list[dict[str, str]]) -> str:
        body = {"model": self.model, "messages": messages, "temperature": 0, "max_tokens": _MOST_TOKENS}
        headers = {"Content-Type": "application/json"}
        if os.environ.get(KEY):
            headers["Authorization"] = f"Bearer {os.environ[KEY]}"
        url = f"{self._url.rstrip('/')}/chat/completions"
        request = Request(url, json.dumps(body).encode(), headers)
        try:
            with urlopen(request, timeout=_SECONDS) as reply:
                content = json.loads(reply.read(_MOST_BYTES))["choices"][0]["message"]["content"]
        except HTTPError as error:
            with error:
                said = shorten(error.read(2000).decode(errors="replace"), 200)
            raise PolicyError(f"{url} refused to answer ({error.code} {error.reason}: {said})") from error
        except (OSError, HTTPException) as error:
            raise PolicyError(f"{url} cannot be reached ({error}): is the server running?") from error
        except (ValueError, LookupError, TypeError) as error:
            raise PolicyError(
                f"{url} did not reply with a chat completion: is it an OpenAI-compatible server?"
            ) from error
        if not isinstance(content, str):
            raise PolicyError(f"{url} replied with a message that is no text: choose another model")
        return content
