"""The command line as a user meets it: help, exit codes, errors in one line, and the whole job in miniature."""

import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import NoReturn
from xml.etree import ElementTree

import pytest
import trailhound
from trailhound import Index
from trailhound.agent import _systems as systems
from trailhound.cli import main
from trailhound.demo._encyclopedia import generate, write_beir
from trailhound.errors import IndexFolderError
from trailhound.measuring._metrics import read_run
from trailhound.retrievers.questions._labelled import load_questions
from trailhound.retrievers.vectors._minilm import load_adapter

COMMANDS = [
    "demo",
    "index",
    "update",
    "compact",
    "tune",
    "tune-query",
    "train",
    "tune-reranker",
    "tune-router",
    "refresh",
    "evaluate",
    "explain-misses",
    "graph",
    "search",
    "serve",
]
TINY = ["width=16", "question_width=8", "max_candidates=24", "imitation_epochs=2", "imitation_lanes=8"]
TINY += ["ppo_iterations=1", "ppo_lanes=4", "ppo_steps=8", "ppo_passes=1", "minibatch=16", "paths_per_question=1"]
TINY += ["made_beside=0", "reader_epochs=2", "ranker_steps=10"]
SETTINGS = [argument for setting in TINY for argument in ("--set", setting)]
KEYS = {"recall@2", "recall@5", "recall@10", "all_recall@5", "ndcg@10", "failure_rate@5"}
KEYS |= {"latency_ms_p50", "latency_ms_p95", "actions_mean", "questions"}

Capture = pytest.CaptureFixture[str]


def code_of(*arguments: str | Path) -> int:
    """Run a command; return its exit code, whichever way it leaves."""
    try:
        return main([str(argument) for argument in arguments])
    except SystemExit as left:
        return int(left.code or 0)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder where this user works."""
    return tmp_path_factory.mktemp("house")


@pytest.fixture(scope="module")
def notes(house: Path) -> Path:
    """An index of three Markdown files, made by the command line with the built-in encoder."""
    folder = house / "my-docs"
    folder.mkdir()
    (folder / "gate.md").write_text("# The Silver Gate\n\nThe Silver Gate is a film that was directed by Ada Brun.\n")
    (folder / "brun.md").write_text("# Ada Brun\n\nAda Brun is a director. Her mother is Lena Marsk, a painter.\n")
    (folder / "torl.md").write_text("# Torl\n\nTorl is a town by the sea. \x1b[31mIt has a harbour and a market.\n")
    assert code_of("index", folder, "--out", house / "my-docs.index", "--quiet") == 0
    return house / "my-docs.index"


@pytest.fixture(scope="module")
def corpus(house: Path) -> Path:
    write_beir(generate(articles=64, questions=24, seed=5), house / "corpus")
    return house / "corpus"


@pytest.fixture(scope="module")
def wiki(house: Path, corpus: Path) -> Path:
    assert code_of("index", corpus, "--out", house / "wiki.index", "--quiet") == 0
    return house / "wiki.index"


@pytest.fixture(scope="module")
def run(house: Path, corpus: Path, wiki: Path) -> Path:
    """A policy that the command line trained."""
    arguments = ["--index", wiki, "--questions", corpus, "--split", "train", "--validation", f"{corpus}:validation"]
    assert code_of("train", *arguments, "--out", house / "runs" / "wiki", "--quiet", *SETTINGS, "--from", "none") == 0
    return house / "runs" / "wiki"


@pytest.fixture(autouse=True)
def nothing_shipped(monkeypatch: pytest.MonkeyPatch) -> None:
    """What answers without a policy must not hang on whether one comes with the package."""
    monkeypatch.setattr(systems, "shipped_policy", lambda: None)


def test_the_commands_are_listed_with_examples(capsys: Capture) -> None:
    assert code_of("--help") == 0
    shown = capsys.readouterr().out
    assert "examples:\n  trailhound demo\n" in shown
    for command in COMMANDS:
        assert re.search(rf"^    {command}\s+\w", shown, re.MULTILINE)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_examples_for_every_option(command: str, capsys: Capture) -> None:
    assert code_of(command, "--help") == 0
    shown = capsys.readouterr().out
    assert f"examples:\n  trailhound {command}" in shown
    options = shown.partition("options:")[2].partition("examples:")[0]
    for option in re.findall(r"^  (?:-h, )?(--[\w-]+)(.*(?:\n {10,}.*)*)", options, re.MULTILINE):
        if option[0] not in {"--index", "--questions", "--split"}:
            assert re.search(r"  \w|\n", option[1]), f"{option[0]} says nothing about itself"


@pytest.mark.parametrize("command", COMMANDS)
def test_the_examples_name_options_that_are_there(command: str, capsys: Capture) -> None:
    assert code_of(command, "--help") == 0
    options, _, examples = capsys.readouterr().out.partition("examples:\n")
    own = "\n".join(re.findall(rf"trailhound {command} (?:[^\n]*\\\n)*[^\n]*", examples))
    assert own
    for option in re.findall(r" (--[\w-]+)", own):
        assert f"  {option} " in options or f"  {option}\n" in options


def test_version(capsys: Capture) -> None:
    assert code_of("--version") == 0
    assert capsys.readouterr().out == f"trailhound {trailhound.__version__}\n"


def test_python_m_trailhound_in_a_process_of_its_own() -> None:
    done = subprocess.run([sys.executable, "-m", "trailhound", "--help"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "trailhound index my-docs/ --out my-docs.index" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "the following arguments are required: COMMAND"),
        (["serch"], "invalid choice: 'serch'"),
        (["index", "docs"], "the following arguments are required: --out"),
        (["search", "x.index"], "the following arguments are required: QUESTION"),
        (["search", "x.index", "q", "--limit", "0"], "must be a whole number from 1 on, not '0'"),
        (["train", "--index", "x", "--out", "y", "--workers", "0"], "must be a whole number from 1 on, not '0'"),
        (["serve", "x.index", "--port", "99999"], "must be a port from 1 to 65535, not '99999'"),
        (["mcp", "x.index", "--http", "127.0.0.1:0"], "must be a port from 1 to 65535, not '0'"),
        (["search", "x.index", "q", "--limit", "many"], "must be a whole number from 1 on, not 'many'"),
        (["search", "x.index", "q", "--json", "--context", "9"], "not allowed with argument"),
        (["search", "x.index", "q", "--system", "bm25"], "invalid choice: 'bm25'"),
        (["index", "docs", "--out", "x", "--dense", "annoy"], "invalid choice: 'annoy'"),
        (
            ["train", "--index", "a", "--questions", "a", "--questions", "b", "--split", "s", "--out", "o"],
            "1 --index and 2 --questions: give one of each for every corpus",
        ),
        (["train", "--index", "a", "--questions", "a", "--out", "o"], "--questions and --split are missing: give both"),
        (["train", "--index", "a", "--split", "s", "--out", "o"], "or train without by --supervision none"),
        (["train", "--index", "a", "--supervision", "some", "--out", "o"], "invalid choice: 'some'"),
        (
            ["train", "--index", "a", "--supervision", "none", "--split", "s", "--out", "o"],
            "--supervision none makes its own questions: leave --questions, --split and --validation out",
        ),
        (
            ["train", "--index", "a", "--questions", "a", "--split", "s", "--out", "o", "--validation", "data"],
            "--validation 'data' is not DIR:SPLIT",
        ),
        (
            ["train", "--index", "a", "--questions", "a", "--split", "s", "--out", "o", "--validation", "data:"],
            "--validation 'data:' is not DIR:SPLIT",
        ),
        (
            ["train", "--index", "a", "--questions", "a", "--split", "s", "--out", "o", "--set", "width"],
            "--set 'width' is not NAME=VALUE",
        ),
        (
            ["train", "--index", "a", "--questions", "a", "--split", "s", "--out", "o", "--set", "=1"],
            "--set '=1' is not NAME=VALUE",
        ),
    ],
)
def test_wrong_use_is_2_and_one_line(
    arguments: list[str], said: str, capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # what turns out to be right use must not write into the checkout
    assert code_of(*arguments) == 2
    output, errors = capsys.readouterr()
    assert said in errors
    assert errors.count("\n") == 1
    assert output == ""


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["search", "no.index", "Who?"], r"no\.index"),
        (["index", "no-docs", "--out", "new.index", "--quiet"], "no-docs"),
        (["evaluate", "--index", "no.index", "--questions", "x", "--split", "dev"], r"no\.index"),
        (["train", "--index", "no.index", "--questions", "x", "--split", "s", "--out", "o"], r"no\.index"),
        (["train", "--index", "a", "--questions", "x", "--split", "s", "--out", "o", "--set", "wdth=3"], "'wdth'"),
        (
            ["train", "--index", "a", "--questions", "x", "--split", "s", "--out", "o", "--set", "width=x"],
            "width = 'x'",
        ),
        (
            ["train", "--index", "a", "--questions", "x", "--split", "s", "--out", "o", "--recipe", "no"],
            "no recipe 'no'",
        ),
    ],
)
def test_failure_is_1_and_one_line_without_a_traceback(
    arguments: list[str], said: str, capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert code_of(*arguments) == 1
    output, errors = capsys.readouterr()
    assert re.fullmatch(f"trailhound: .*{said}.*\n", errors)
    assert output == ""
    assert list(tmp_path.iterdir()) == [], "nothing is left of what failed"


def test_debug_shows_the_traceback(tmp_path: Path) -> None:
    with pytest.raises(IndexFolderError):  # which Python then prints, and leaves with code 1
        main(["search", str(tmp_path / "no.index"), "Who?", "--debug"])


def test_search_on_ones_own_documents_without_any_training(notes: Path, capsys: Capture) -> None:
    assert code_of("search", notes, "Who is the mother of the director of The Silver Gate?") == 0
    output, errors = capsys.readouterr()
    assert re.match(r"(Answer: «.+» \(probability 0\.\d\d\)|Best sentence:)\n   .*«", output)
    assert re.search(r"\n  [12]\. Ada Brun\n     brun\.md.*\n     .*«.*Her mother is Lena Marsk", output)
    assert re.search(
        r"\npath: asked lexical, dense, then fuse .*\n      by the fixed system: hybrid: 2 calls, \d+ ms\n$", output
    )
    assert "\x1b" not in output, "a document cannot steer the terminal"
    assert errors == ""


def test_search_as_json(notes: Path, capsys: Capture) -> None:
    assert code_of("search", notes, "Who is Ada Brun’s mother?", "--json", "--limit", "2", "--system", "dense") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["question"] == "Who is Ada Brun’s mother?"
    assert found["answered_by"] == "fixed system: dense"
    assert len(found["evidence"]) == 2
    assert found["evidence"][0]["passage"]["title"] == "Ada Brun"


def test_json_loses_no_letter_where_the_output_is_not_utf_8(notes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding="latin-1"))
    assert code_of("search", notes, "Where is Łódź’s harbour?", "--json", "--system", "lexical") == 0
    assert json.loads(written.getvalue())["question"] == "Where is Łódź’s harbour?"


def test_search_for_a_prompt(notes: Path, capsys: Capture) -> None:
    assert code_of("search", notes, "Who is Ada Brun's mother?", "--context", "40") == 0
    output = capsys.readouterr().out
    assert output.startswith("[1] Ada Brun (brun.md")
    assert len(output) <= 3 * 40 + 1


def test_search_with_a_picture(notes: Path, tmp_path: Path, capsys: Capture) -> None:
    assert code_of("search", notes, "Where is the harbour?", "--picture", tmp_path / "path.svg") == 0
    ElementTree.parse(tmp_path / "path.svg")
    assert "\npath: asked lexical, dense, then " in capsys.readouterr().out
    assert code_of("search", notes, "Where is the harbour?", "--picture", tmp_path / "no" / "path.svg") == 1
    assert re.fullmatch(r"trailhound: .*no/path\.svg.*\n", capsys.readouterr().err)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([""], "the question is empty: ask something"),
        (["broken \udcff"], "NUL characters or lone surrogates"),
        (["Who?", "--policy", "nowhere"], "nowhere holds no policy"),
        (["Who?", "--system", "policy"], "the system 'policy' needs a policy: train one, and give its folder"),
    ],
)
def test_a_search_that_cannot_be_done_says_why(arguments: list[str], said: str, notes: Path, capsys: Capture) -> None:
    assert code_of("search", notes, *arguments) == 1
    output, errors = capsys.readouterr()
    assert said in errors
    assert errors.count("\n") == 1
    assert output == ""


def test_a_reader_that_goes_away_is_no_traceback(notes: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "trailhound", "search", str(notes), "Where is the harbour?", "--system", "lexical"]
    done = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, text=True, check=False)
    os.close(write)
    assert (done.returncode, done.stderr) == (1, "")


def test_index_tells_its_stages_on_stderr_and_its_size_on_stdout(notes: Path, tmp_path: Path, capsys: Capture) -> None:
    docs = notes.parent / "my-docs"
    arguments = ("--dense", "hnsw", "--chunk-tokens", "40", "--threads", "1")
    assert code_of("index", docs, "--out", tmp_path / "a.index", *arguments) == 0
    output, errors = capsys.readouterr()
    assert re.fullmatch(rf"{tmp_path}/a\.index: 3 documents, \d+ passages, \d+ links\n", output)
    stages = [line for line in errors.splitlines() if not line.startswith("warning:")]
    assert "encoding passages ..." in stages
    begun = [line for line in stages if line.endswith(" ...")]
    (rate,) = set(stages) - set(begun)
    assert re.fullmatch(r"reading files: 3 in \d+\.\d s, [\d,]+/s", rate)
    assert Index.open(tmp_path / "a.index").settings == trailhound.IndexSettings("minilm", "hnsw", 40)


def test_quiet_has_no_progress(notes: Path, tmp_path: Path, capsys: Capture) -> None:
    docs = notes.parent / "my-docs"
    assert code_of("index", docs / "gate.md", docs / "brun.md", "--out", tmp_path / "b.index", "--quiet") == 0
    output, errors = capsys.readouterr()
    assert "2 documents" in output
    assert errors == ""


def test_train_evaluate_and_search_with_the_policy(
    run: Path, wiki: Path, corpus: Path, tmp_path: Path, capsys: Capture
) -> None:
    capsys.readouterr()
    files = ["--run-file", tmp_path / "wiki.trec", "--json", tmp_path / "wiki.json"]
    files += ["--reliability", tmp_path / "wiki.svg"]
    over = ["--index", wiki, "--questions", corpus, "--split", "dev"]
    assert code_of("evaluate", *over, "--policy", run, *files) == 0
    output, errors = capsys.readouterr()
    figures = json.loads((tmp_path / "wiki.json").read_text())
    assert set(figures) >= KEYS
    assert figures["questions"] == 6
    assert 0 <= figures["calibration_error"] <= 1
    ElementTree.parse(tmp_path / "wiki.svg")
    assert set(read_run(tmp_path / "wiki.trec")) == set(generate(64, 24, 5).splits["dev"])
    assert f"policy {run}"[:40] in output
    assert re.search(r"^  \w+: recall@5 [\d.]+ over \d questions$", output, re.MULTILINE)
    assert "answering questions ...\n" in errors

    assert code_of("search", wiki, "Who is it?", "--policy", run) == 0
    output = capsys.readouterr().out
    assert re.search(rf"\n      by the policy {run}: \d+ calls", output)
    assert re.search(r"\n      that these hold all the evidence has a probability of [01]\.\d\d", output)


def test_tuning_an_encoder_and_training_a_policy_that_carries_it(
    wiki: Path, corpus: Path, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = ["--index", wiki, "--questions", corpus, "--split", "train"]
    hop = tmp_path / "hop"
    assert code_of("tune", *source, "--epochs", "1", "--rank", "2", "--out", hop) == 0
    output, errors = capsys.readouterr()
    assert "untuned_score" in output
    assert "tuning, epoch 1/1" in errors
    train = ["train", *source, *SETTINGS, "--quiet"]
    assert code_of(*train, "--hop-encoder", hop, "--out", tmp_path / "run") == 0
    assert load_adapter(tmp_path / "run").digest == load_adapter(hop).digest
    assert code_of("search", wiki, "Who is it?", "--policy", tmp_path / "run", "--quiet") == 0
    capsys.readouterr()
    assert code_of(*train, "--hop-encoder", corpus, "--out", tmp_path / "no") == 1
    assert "trailhound tune" in capsys.readouterr().err
    assert code_of(*train, "--hop-encoder", "shipped", "--out", tmp_path / "no") == 1
    assert "no encoder comes with" in capsys.readouterr().err
    monkeypatch.setattr(systems, "shipped_policy", lambda: tmp_path / "run")
    assert code_of(*train, "--hop-encoder", "shipped", "--out", tmp_path / "again") == 0
    assert load_adapter(tmp_path / "again").digest == load_adapter(hop).digest


def test_training_says_what_it_reached_and_goes_on_where_it_was(
    run: Path, wiki: Path, corpus: Path, capsys: Capture
) -> None:
    capsys.readouterr()
    arguments = ["--index", wiki, "--questions", corpus, "--split", "train", "--validation", f"{corpus}:validation"]
    assert code_of("train", *arguments, "--out", run, *SETTINGS) == 0, "finished: nothing is left to do"
    assert re.match(rf"{run}: recall@5 \d\.\d+, .* on validation, \d+ s\n", capsys.readouterr().out)
    assert code_of("train", *arguments, "--out", run, *SETTINGS, "--seed", "1") == 1
    assert "holds a run of other settings" in capsys.readouterr().err


def test_training_without_questions(wiki: Path, corpus: Path, tmp_path: Path, capsys: Capture) -> None:
    few = [*SETTINGS, "--set", "made_questions=30"]
    over = ["train", "--index", wiki, "--supervision", "none", "--out", tmp_path / "run"]
    assert code_of(*over, *few) == 0
    output, errors = capsys.readouterr()
    assert "making questions ...\n" in errors
    assert "on validation" in output
    made, qrels = load_questions(tmp_path / "run" / "questions", "train")
    assert len(made) == 27
    assert Index.open(wiki).store.has(next(iter(qrels[made[0].id])))
    assert code_of(*over, *few) == 0, "finished: nothing is left to do"
    evaluated = ["--index", wiki, "--questions", corpus, "--split", "dev", "--policy", tmp_path / "run"]
    assert code_of("evaluate", *evaluated) == 0


def test_training_without_questions_on_too_few_documents(notes: Path, tmp_path: Path, capsys: Capture) -> None:
    assert code_of("train", "--index", notes, "--supervision", "none", "--out", tmp_path / "run", "--quiet") == 1
    assert "add documents" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_validation_over_several_indexes_must_say_which(
    wiki: Path, notes: Path, corpus: Path, tmp_path: Path, capsys: Capture
) -> None:
    pairs = ["--index", wiki, "--questions", corpus, "--index", notes, "--questions", tmp_path]
    arguments = [*pairs, "--split", "train", "--validation", f"{tmp_path / 'elsewhere'}:dev"]
    assert code_of("train", *arguments, "--out", tmp_path / "run") == 1
    errors = capsys.readouterr().err
    assert "validation questions must lie in a folder that --questions names" in errors
    assert not (tmp_path / "run").exists()


def test_labels_that_the_index_lacks(wiki: Path, notes: Path, corpus: Path, tmp_path: Path, capsys: Capture) -> None:
    assert code_of("evaluate", "--index", notes, "--questions", corpus, "--split", "dev", "--quiet") == 1
    assert "has none of the" in capsys.readouterr().err
    partly = tmp_path / "partly"
    (partly / "qrels").mkdir(parents=True)
    (partly / "queries.jsonl").write_bytes((corpus / "queries.jsonl").read_bytes())
    lines = (corpus / "qrels" / "dev.tsv").read_text().splitlines()
    (partly / "qrels" / "dev.tsv").write_text("\n".join([*lines, lines[1].split("\t")[0] + "\tnowhere\t1"]) + "\n")
    over = ["--index", wiki, "--questions", partly, "--split", "dev"]
    assert code_of("evaluate", *over, "--system", "lexical", "--quiet") == 0
    assert re.fullmatch(r"warning: .*1 of \d+ labelled passages .*'nowhere'.*\n", capsys.readouterr().err)


def test_the_documented_command_lines_in_miniature(
    house: Path, corpus: Path, wiki: Path, run: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    """The five of the README, word for word but for the names of the corpora and a smaller recipe."""
    monkeypatch.chdir(house)
    lines = [
        "index corpus --out train.index",
        "train --index train.index --questions corpus --split train --validation corpus:validation"
        f" --out runs/again --seed 0 {' '.join(SETTINGS)}",
        "index corpus --out dev.index",
        "evaluate --index dev.index --questions corpus --split dev --policy runs/again --run-file dev.trec"
        " --json dev.json",
    ]
    for line in lines:
        assert code_of(*line.split()) == 0, line
    question = "Who is the mother of the director of film Polish-Russian War (Film)?"
    assert code_of("search", "dev.index", question, "--policy", "runs/again") == 0
    output = capsys.readouterr().out
    assert "by the policy runs/again: " in output
    assert (house / "runs" / "again" / "policy.safetensors").read_bytes() == (run / "policy.safetensors").read_bytes()
    assert json.loads((house / "dev.json").read_text())["questions"] == 6


def test_what_evaluate_prints_is_what_it_measured(wiki: Path, corpus: Path, tmp_path: Path, capsys: Capture) -> None:
    over = ["--index", wiki, "--questions", corpus, "--split", "dev"]
    assert code_of("evaluate", *over, "--system", "hybrid", "--json", tmp_path / "h.json", "--quiet") == 0
    output, errors = capsys.readouterr()
    figures = json.loads((tmp_path / "h.json").read_text())
    (row,) = (line for line in output.splitlines() if "hybrid" in line)
    cells = [cell.strip() for cell in row.strip("│ ").split("│")]
    assert cells[:3] == ["fixed system: hybrid", f"{100 * figures['recall@2']:.1f}", f"{100 * figures['recall@5']:.1f}"]
    assert errors == ""


def test_interruption_is_no_traceback(monkeypatch: pytest.MonkeyPatch, notes: Path, capsys: Capture) -> None:
    def interrupt(*arguments: object) -> NoReturn:
        raise KeyboardInterrupt

    monkeypatch.setattr(trailhound.SearchAgent, "search", interrupt)
    assert code_of("search", notes, "Who?") == 130
    assert re.fullmatch("trailhound: interrupted.*\n", capsys.readouterr().err)
