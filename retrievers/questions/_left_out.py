"""What is left out of a question's ranking: ``excluded.json``, as the data sets of BRIGHT have it."""

from __future__ import annotations

import json
from pathlib import Path

from ...errors import QuestionsError
from ..corpus._json_records import decode, json_type, read_file

LEFT_OUT = "excluded.json"


def load_left_out(folder: Path) -> dict[str, frozenset[str]]:
    """Return the ids of the documents or passages that do not count for each question; empty without the file.

    Source: ``excluded_ids`` of BRIGHT (Su et al. 2024, arXiv:2407.12883), such as the page that a question was made of.

    Args:
        folder: of the questions; ``excluded.json`` there is one object, question id -> list of ids.

    Raises:
        QuestionsError: when the file cannot be read, or is not such an object.
    """
    path = Path(folder) / LEFT_OUT
    if not path.is_file():
        return {}
    try:
        value = json.loads(decode(read_file(path, QuestionsError), path, QuestionsError))
    except (ValueError, RecursionError) as error:
        raise QuestionsError(f"is not JSON ({error}): give one object, question id -> list of ids", path) from error
    if not isinstance(value, dict):
        raise QuestionsError(f"expected one object, question id -> list of ids, found {json_type(value)}", path)
    for question, names in value.items():
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise QuestionsError(f"the question {question!r} needs a list of ids, not {json_type(names)}", path)
    return {question: frozenset(names) for question, names in value.items() if names}
