"""Every error survives pickling and copying, as between the processes of a server."""

from __future__ import annotations

import copy
import inspect
import pickle

import pytest
from trailhound import errors

KINDS = [kind for kind in vars(errors).values() if inspect.isclass(kind) and issubclass(kind, errors.TrailhoundError)]
ARGUMENTS = {
    "CollapseError": ("spread", 0.01, 0.1, "lower the learning rate"),
    "MissingExtraError": ("python-docx", "office", "reading letters"),
}


def made(kind: type[errors.TrailhoundError]) -> errors.TrailhoundError:
    return kind(*ARGUMENTS.get(kind.__name__, ("the index is gone: build it again",)))


def alike(one: errors.TrailhoundError, other: errors.TrailhoundError) -> bool:
    return (type(one), str(one), one.args, vars(one)) == (type(other), str(other), other.args, vars(other))


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_is_the_same_after_pickling_and_copying(kind: type[errors.TrailhoundError]) -> None:
    error = made(kind)
    error.add_note("while question 7 was searched")
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        assert alike(pickle.loads(pickle.dumps(error, protocol)), error)
    assert alike(copy.deepcopy(error), error)
    assert alike(copy.copy(error), error)


def test_the_place_of_an_error_in_a_file_is_kept() -> None:
    error = errors.CorpusError("no text", "docs/a.txt", 3)
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.path, again.line) == ("docs/a.txt:3: no text", error.path, 3)


def test_a_missing_extra_is_still_an_import_error() -> None:
    again = pickle.loads(pickle.dumps(made(errors.MissingExtraError)))
    assert isinstance(again, ImportError)
    assert again.msg == str(again)
