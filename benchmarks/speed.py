"""Speed on two cores: encoding, indexing, searching, starting, and stepping through the environment.

    python benchmarks/speed.py --corpus ../shared/data/2wiki --questions ../shared/data/2wiki --split dev
    python benchmarks/speed.py --policy runs/2wiki --json runs/speed.json

Side by side in one run, so that a busy machine slows everything alike. The comparison with sentence-transformers
needs that package; without it the row says so.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from trailhound import EnvironmentSettings, Index, SearchAgent
from trailhound.envs.batch import SearchBatch
from trailhound.envs.question_set import QuestionSet
from trailhound.retrievers.encoder import embedding_text, load_encoder
from trailhound.retrievers.minilm import model_folder
from trailhound.retrievers.questions import load_questions

Figures = dict[str, float]


def timed(work: Callable[[], object]) -> float:
    """Return how many seconds ``work`` takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def encoding(corpus: Path, folder: Path) -> Figures:
    """Index a corpus, then encode its passages alone; and a part of them with sentence-transformers in fp32."""
    encoder = load_encoder("minilm")
    encoder.encode(["warm"])
    index_seconds = timed(lambda: Index.build([corpus], folder / "speed.index", encoder=encoder))
    index = Index.open(folder / "speed.index")
    texts = [embedding_text(passage.title, passage.text) for passage in index.store]
    encode_seconds = timed(lambda: encoder.encode(texts))
    figures = {
        "passages": len(texts),
        "index_seconds": index_seconds,
        "encode_seconds": encode_seconds,
        "index_over_encode": index_seconds / encode_seconds,
        "passages_per_second": len(texts) / encode_seconds,
    }
    if find_spec("sentence_transformers") is not None:
        from sentence_transformers import SentenceTransformer

        model = SentenceTransformer(str(model_folder()), device="cpu")
        sample = texts[:: max(1, len(texts) // 1500)]
        model.encode(sample[:8])
        theirs = timed(lambda: model.encode(sample, batch_size=32, show_progress_bar=False))
        ours = timed(lambda: encoder.encode(sample))
        figures["sentence_transformers_per_second"] = len(sample) / theirs
        figures["times_sentence_transformers"] = theirs / ours
    return figures


def searching(index: Index, questions: list[str], policy: Path | None) -> Figures:
    """Search one question after the other, query encoding included."""
    agent = SearchAgent(index, policy)
    agent.search(questions[0])
    milliseconds = [1000 * timed(lambda q=question: agent.search(q)) for question in questions]
    return {
        "search_ms_p50": statistics.median(milliseconds),
        "search_ms_p95": float(np.percentile(milliseconds, 95)),
    }


def starting(folder: Path, question: str, policy: Path | None) -> Figures:
    """Start the command line, and wait for its answer."""
    arguments = ["search", str(folder), question, *(["--policy", str(policy)] if policy else [])]
    command = [sys.executable, "-m", "trailhound", *arguments]
    seconds = [timed(lambda: subprocess.run(command, check=True, stdout=subprocess.DEVNULL)) for _ in range(3)]
    return {"start_to_first_answer_seconds": statistics.median(seconds)}


def stepping(index: Index, questions: Path, split: str, processes: int) -> Figures:
    """Step through the batched environment with random legal actions, a process for each core, without the network."""
    part = QuestionSet.load(index, questions, split, EnvironmentSettings())
    worlds = [part.world(number) for number in range(min(200, len(part)))]

    def steps(count: int, seed: int) -> int:
        generator = np.random.default_rng(seed)
        batch = SearchBatch(EnvironmentSettings(), 64, index.encoder.dimension)
        following = iter(generator.permutation(np.tile(np.arange(len(worlds)), 1 + count // len(worlds))).tolist())
        for lane in range(64):
            batch.start(lane, worlds[next(following)])
        done = 0
        while done < count:
            noise = generator.random(batch.mask.shape, np.float32)
            _, ended = batch.step((batch.mask * noise).argmax(axis=1))
            for lane in np.flatnonzero(ended).tolist():
                batch.start(lane, worlds[next(following)])
            done += len(ended)
        return done

    cold = timed(lambda: steps(20_000, 0))
    done = 40_000
    alone = timed(lambda: steps(done, 1))
    started = time.perf_counter()
    children = []
    for seed in range(processes):
        child = os.fork()
        if child == 0:
            steps(done, seed + 2)
            os._exit(0)
        children.append(child)
    for child in children:
        os.waitpid(child, 0)
    together = time.perf_counter() - started
    return {
        "steps_per_second_first_visit": 20_000 / cold,
        "steps_per_second_one_process": done / alone,
        f"steps_per_second_{processes}_processes": processes * done / together,
    }


def main() -> None:
    """Measure, print a table, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, default=Path("../shared/data/2wiki"))
    parser.add_argument("--questions", type=Path, default=Path("../shared/data/2wiki"))
    parser.add_argument("--split", default="dev")
    parser.add_argument("--policy", type=Path, default=None)
    parser.add_argument("--json", type=Path, default=None)
    parsed = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = encoding(parsed.corpus, Path(folder))
        place = Path(folder) / "speed.index"
        asked, _ = load_questions(parsed.questions, parsed.split)
        import torch

        torch.set_num_threads(1)
        index = Index.open(place, threads=1)
        figures |= searching(index, [question.text for question in asked], parsed.policy)
        figures |= starting(place, asked[0].text, parsed.policy)
        figures |= stepping(index, parsed.questions, parsed.split, 2)
    print("| figure | value |\n|---|---|")
    for name, value in figures.items():
        print(f"| {name} | {value:,.2f} |")
    if parsed.json:
        parsed.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
