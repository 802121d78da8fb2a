"""How an encoder is to be used, as its folder says: prompts before texts, pooling of tokens, dense layers after it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ...errors import EncoderError

POOLINGS = ("cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken")
"""How one vector is made of those of the tokens, in the order in which several are put together."""


@dataclass(frozen=True, slots=True)
class Conventions:
    """What an encoder was trained with, and is used with.

    Attributes:
        query_prompt: what is put before a query.
        passage_prompt: what is put before a passage.
        pooling: of :data:`POOLINGS`; what several give is one vector after the other.
        pools_prompt: the tokens of a prompt count in the pooling.
        lower_case: texts are made lower case first.
        longest: tokens that it reads; None where nothing says.
        weights: the folder within that holds transformer and tokenizer; empty for the folder itself.
        dense: the folders within of layers that the pooled vector goes through.
    """

    query_prompt: str = ""
    passage_prompt: str = ""
    pooling: tuple[str, ...] = ("mean",)
    pools_prompt: bool = True
    lower_case: bool = False
    longest: int | None = None
    weights: str = ""
    dense: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Chosen:
    """What a user says of an encoder whose folder does not say it; empty for what is left to the folder."""

    query_prompt: str = ""
    passage_prompt: str = ""
    pooling: str = ""

    def __post_init__(self) -> None:
        """Refuse a pooling that there is not."""
        if self.pooling and self.pooling not in POOLINGS:
            raise EncoderError(f"there is no pooling {self.pooling!r}: choose one of {', '.join(POOLINGS)}")


@dataclass(frozen=True, slots=True)
class _Family:
    """Encoders of one name, whose folders leave out what their model cards say."""

    query_prompt: str
    passage_prompt: str
    pooling: str


_BGE_ENGLISH = "Represent this sentence for searching relevant passages: "
_BGE_CHINESE = "为这个句子生成表示以用于检索相关文章："
_E5_INSTRUCT = "Instruct: Given a web search query, retrieve relevant passages that answer the query\nQuery: "

_FAMILIES = (
    (re.compile(r"\be5\b.*\binstruct\b"), _Family(_E5_INSTRUCT, "", "mean")),
    (re.compile(r"\be5\b"), _Family("query: ", "passage: ", "mean")),
    (re.compile(r"\bbge m3\b"), _Family("", "", "cls")),
    (re.compile(r"\bbge\b.*\bzh\b"), _Family(_BGE_CHINESE, "", "cls")),
    (re.compile(r"\bbge\b"), _Family(_BGE_ENGLISH, "", "cls")),
    (re.compile(r"\bgte\b.*\b(v1 5|modernbert)\b"), _Family("", "", "cls")),
    (re.compile(r"\bgte\b"), _Family("", "", "mean")),
)
"""From the model cards of intfloat/e5-*, BAAI/bge-*, thenlper/gte-* and Alibaba-NLP/gte-*; the first that fits."""


def conventions_of(folder: Path, name: str, chosen: Chosen) -> tuple[Conventions, str]:
    """Return how the encoder of a folder is used, and what is to be said of it where the folder left it open.

    Args:
        folder: of sentence-transformers, or of transformers alone.
        name: what the encoder is called, which may tell its family.
        chosen: by the user.

    Raises:
        EncoderError: the folder has a module that is not known, a file that cannot be read, or says otherwise than
            ``chosen``.
    """
    try:
        modules = _modules(folder)
        said, prompts = _said(folder, modules), _prompts(folder)
    except (AttributeError, KeyError, TypeError) as error:
        raise EncoderError(f"{folder} is not as sentence-transformers writes it ({error!r}): get it again") from error
    pooled = any(kind == "Pooling" for kind, _ in modules)
    _check_agreement(chosen, said.pooling if pooled else None, prompts, name)
    assumed = []
    family_name, family = _family(folder, name)
    query, passage = prompts or ("", "")
    if family is not None and prompts is None and not (chosen.query_prompt or chosen.passage_prompt):
        query, passage = family.query_prompt, family.passage_prompt
        before = (("queries", query), ("passages", passage))
        assumed += [f"{prompt!r} before {what}" for what, prompt in before if prompt]
    pooling = said.pooling
    if chosen.pooling and not pooled:
        pooling = (chosen.pooling,)
    elif family is not None and not pooled:
        pooling = (family.pooling,)
        assumed.append(f"pooling {family.pooling}")
    told = f"{name} is used as {family_name} is, because its folder does not say: {', '.join(assumed)}"
    made = replace(
        said,
        query_prompt=chosen.query_prompt or query,
        passage_prompt=chosen.passage_prompt or passage,
        pooling=pooling,
    )
    return made, told if assumed else ""


def _said(folder: Path, modules: list[tuple[str, str]]) -> Conventions:
    """Return what the modules of a sentence-transformers folder say."""
    said = Conventions()
    for kind, place in modules:
        config = _json(folder / place / "config.json") or {}
        if kind == "Transformer":
            own = _json(folder / place / "sentence_bert_config.json") or {}
            longest = own.get("max_seq_length")
            said = replace(
                said,
                weights=place,
                longest=int(longest) if isinstance(longest, int | float) else None,
                lower_case=bool(own.get("do_lower_case", False)),
            )
        elif kind == "Pooling":
            counts = bool(config.get("include_prompt", True))
            said = replace(said, pooling=_pooling(config, folder / place), pools_prompt=counts)
        elif kind == "Dense":
            said = replace(said, dense=(*said.dense, place))
    return said


def _pooling(config: Mapping[str, Any], place: Path) -> tuple[str, ...]:
    """Return the modes of a pooling module: one name or several, in older folders a flag for each."""
    named = config.get("pooling_mode")
    if named is None:
        flags = zip(POOLINGS, _FLAGS, strict=True)
        named = [mode for mode, flag in flags if config.get(f"pooling_mode_{flag}")] or "mean"
    modes = (named,) if isinstance(named, str) else tuple(named)
    unknown = [mode for mode in modes if mode not in POOLINGS]
    if unknown:
        raise EncoderError(f"{place} has the pooling {unknown[0]!r}, which is not known: {', '.join(POOLINGS)} are")
    return modes


_FLAGS = ("cls_token", "max_tokens", "mean_tokens", "mean_sqrt_len_tokens", "weightedmean_tokens", "lasttoken")
"""What the poolings are called in older folders, behind ``pooling_mode_``."""

_POOLING = "1_Pooling"
"""Where sentence-transformers keeps a pooling that follows a transformer."""

_KNOWN = ("Transformer", "Pooling", "Dense", "Normalize", "Dropout")


def _modules(folder: Path) -> list[tuple[str, str]]:
    """Return kind and place of the modules of a folder; one transformer where it is no sentence-transformers folder.

    Vectors are made of length 1 whether a folder says so or not, and nothing is dropped where nothing is trained.
    """
    listed = _json(folder / "modules.json")
    if listed is None:
        return [("Transformer", ""), *([("Pooling", _POOLING)] if (folder / _POOLING / "config.json").exists() else [])]
    modules = [(str(one["type"]).rpartition(".")[2], str(one.get("path", ""))) for one in listed]
    kinds = [kind for kind, _ in modules]
    unknown = [kind for kind in kinds if kind not in _KNOWN]
    if unknown or kinds[:1] != ["Transformer"]:
        raise EncoderError(
            f"{folder}/modules.json names the module {(unknown or kinds or ['none'])[0]!r}, which cannot be used there:"
            f" give an encoder that begins with a Transformer and is made of {', '.join(_KNOWN)}"
        )
    return modules


def _prompts(folder: Path) -> tuple[str, str] | None:
    """Return what sentence-transformers puts before queries and passages; None where the folder does not say."""
    config = _json(folder / "config_sentence_transformers.json") or {}
    prompts = config.get("prompts") or {}
    passage = next((prompts[key] for key in ("document", "passage", "corpus") if key in prompts), None)
    query = prompts.get("query")
    return None if query is None and passage is None else (query or "", passage or "")


def _check_agreement(
    chosen: Chosen, pooling: tuple[str, ...] | None, prompts: tuple[str, str] | None, name: str
) -> None:
    """Raise where the user says otherwise than the folder."""
    query, passage = prompts or ("", "")
    pairs = [("query prompt", query, chosen.query_prompt), ("passage prompt", passage, chosen.passage_prompt)]
    pairs.append(("pooling", " ".join(pooling or ()), chosen.pooling))
    for what, its_own, other in pairs:
        if its_own and other and its_own != other:
            raise EncoderError(f"the folder of {name} says its {what} is {its_own!r}, not {other!r}: leave that out")


def _family(folder: Path, name: str) -> tuple[str, _Family | None]:
    """Return the family of an encoder by its own name, else by that of the model it was made from."""
    original = str((_json(folder / "config.json") or {}).get("_name_or_path", ""))
    for full in (name, original):
        last = full.rstrip("/").rpartition("/")[2].lower()
        words = re.sub(r"[^a-z0-9]+", " ", last)
        for pattern, family in _FAMILIES:
            if pattern.search(words):
                return last, family
    return name, None


def _json(path: Path) -> Any:
    """Return what a JSON file holds; None where there is none."""
    try:
        return json.loads(path.read_text("utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        raise EncoderError(f"cannot read {path} ({error}): get the encoder again") from error
