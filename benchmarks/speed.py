"""Speed on two cores: encoding, indexing, searching, starting, and stepping through the environment.

    python benchmarks/speed.py --corpus ../shared/data/2wiki --questions ../shared/data/2wiki --split dev
    python benchmarks/speed.py --policy runs/2wiki --json runs/speed.json
    python benchmarks/speed.py --search wiki.index --most 150    # hybrid and the policy alone, question by question
    python benchmarks/speed.py --messages    # the graph neural network alone, in seconds

Side by side in one run, so that a busy machine slows everything alike. The comparison with sentence-transformers
needs that package; without it the row says so.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from inputs import arguments, parse
from table import by_figure, by_system, show, write
from torch import nn
from trailhound import EnvironmentSettings, Index, SearchAgent, evaluate
from trailhound.envs._batch import SearchBatch
from trailhound.envs._question_set import QuestionSet
from trailhound.graph._encoder import QuestionConditionedGNN, TypedLinks
from trailhound.learning.policy._imitation import expert_actions
from trailhound.retrievers.questions._labelled import load_questions
from trailhound.retrievers.vectors._encoder import embedding_text, load_encoder
from trailhound.retrievers.vectors._minilm import model_folder

Figures = dict[str, float]
T = TypeVar("T")
LANES = 64
WARM = 5


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


def side_by_side(index: Index, questions: list[str], policy: Path | None) -> dict[str, list[Figures]]:
    """Search every question with hybrid, then with the policy, on one thread: milliseconds of CPU and by the clock.

    What a result computes when it is looked at is measured apart: the sentences of its passages, and its answer.
    """
    agents = {"hybrid": SearchAgent(index, system="hybrid"), "policy": SearchAgent(index, policy)}
    spent: dict[str, dict[str, list[float]]] = {name: {} for name in agents}
    for number, question in enumerate([*questions[:WARM], *questions]):
        for name, agent in agents.items():
            times = spent[name] if number >= WARM else {}  # the first load models, and fill caches of words
            result = noted(times, "search", partial(agent.search, question))
            noted(times, "sentences", lambda result=result: [one.sentence for one in result.evidence])
            noted(times, "answer", lambda result=result: result.answer)
    hybrid = statistics.median(spent["hybrid"]["search_cpu_ms"])
    return {
        name: [
            {
                "cpu_p50": statistics.median(times["search_cpu_ms"]),
                "cpu_p95": float(np.percentile(times["search_cpu_ms"], 95)),
                "times_hybrid": statistics.median(times["search_cpu_ms"]) / hybrid,
                "clock_p50": statistics.median(times["search_ms"]),
                "clock_p95": float(np.percentile(times["search_ms"], 95)),
                "sentences_cpu_p50": statistics.median(times["sentences_cpu_ms"]),
                "answer_cpu_p50": statistics.median(times["answer_cpu_ms"]),
            }
        ]
        for name, times in spent.items()
    }


def noted(times: dict[str, list[float]], what: str, work: Callable[[], T]) -> T:
    """Do ``work`` and note its milliseconds, of CPU and by the clock."""
    cpu, clock = time.process_time(), time.perf_counter()
    done = work()
    times.setdefault(f"{what}_cpu_ms", []).append(1000 * (time.process_time() - cpu))
    times.setdefault(f"{what}_ms", []).append(1000 * (time.perf_counter() - clock))
    return done


def starting(folder: Path, question: str, policy: Path | None) -> Figures:
    """Start the command line, and wait for its answer."""
    arguments = ["search", str(folder), question, *(["--policy", str(policy)] if policy else [])]
    command = [sys.executable, "-m", "trailhound", *arguments]
    seconds = [timed(lambda: subprocess.run(command, check=True, stdout=subprocess.DEVNULL)) for _ in range(3)]
    return {"start_to_first_answer_seconds": statistics.median(seconds)}


def stepping(folder: Path, questions: Path, split: str) -> Figures:
    """Step through the batched environment without the network: in one process, then in two at once."""
    command = [sys.executable, __file__, "--steps", folder, "--questions", questions, "--split", split]
    start = partial(subprocess.Popen, [str(part) for part in command], stdout=subprocess.PIPE, text=True)
    alone = json.loads(start().communicate()[0])
    together = [json.loads(process.communicate()[0]) for process in [start(), start()]]
    return {
        "steps_per_second_random_walk": alone["random"],
        "steps_per_second_one_process": alone["replayed"],
        "steps_per_second_two_processes": sum(rates["replayed"] for rates in together),
    }


def steps(folder: Path, questions: Path, split: str) -> Figures:
    """Return steps per second of a random walk over new questions, and of episodes as training visits them.

    A random walk takes evidence that no policy would, and encodes a query for each: it measures the encoder. What
    training does is recorded first (the expert's actions, every fifth one random) and then replayed, so that neither
    the network nor the expert counts.
    """
    index = Index.open(folder)
    settings = EnvironmentSettings()
    part = QuestionSet.load(index, questions, split, settings)
    worlds = [part.world(number) for number in range(min(200, len(part)))]
    generator = np.random.default_rng(0)
    batch = SearchBatch(settings, LANES, index.encoder.dimension)

    def random_walk(count: int) -> float:
        for lane in range(LANES):
            batch.start([lane], [worlds[lane]])
        started = time.perf_counter()
        for _ in range(count // LANES):
            noise = generator.random(batch.mask.shape, np.float32)
            _, ended = batch.step((batch.mask * noise).argmax(axis=1))
            for lane in np.flatnonzero(ended).tolist():
                batch.start([lane], [worlds[int(generator.integers(len(worlds)))]])
        return count / (time.perf_counter() - started)

    def record(number: int) -> list[int]:
        actions, ended = [], False
        batch.start([0], [worlds[number]])
        while not ended:
            good = expert_actions(batch, [0])[0] if generator.random() < 0.8 else batch.mask[0]
            actions.append(int(generator.choice(np.flatnonzero(good))))
            _, ended = batch.act(0, actions[-1])
        return actions

    def replay(episodes: list[tuple[int, list[int]]], count: int) -> float:
        lanes = [iter(())] * LANES
        started = time.perf_counter()
        for _ in range(count // LANES):
            for lane in range(LANES):
                action = next(lanes[lane], None)
                if action is None:
                    number, actions = episodes[int(generator.integers(len(episodes)))]
                    lanes[lane] = iter(actions)
                    batch.start([lane], [worlds[number]])
                    action = next(lanes[lane])
                batch.act(lane, action)
        return count / (time.perf_counter() - started)

    walked = random_walk(10_000)
    episodes = [(number, record(number)) for number in range(len(worlds)) for _ in range(4)]
    replay(episodes, 100_000)
    return {"random": walked, "replayed": replay(episodes, 200_000)}


def messages() -> Figures:
    """Return milliseconds of the graph neural network on random links, two and six to a candidate.

    Once for one search of 64 candidates, and for a gradient step over 64 searches of 100 candidates.
    """
    torch.set_num_threads(1)
    network = QuestionConditionedGNN(64, 8, 24)
    figures = {}
    for name, searches, nodes, degree, training in (
        ("search", 1, 64, 2, False),
        ("search_dense", 1, 64, 6, False),
        ("step", LANES, 100, 2, True),
        ("step_dense", LANES, 100, 6, True),
    ):
        generator = torch.Generator().manual_seed(0)
        count = searches * nodes * degree
        ends = torch.randint(nodes, (2, count), generator=generator)
        kinds = torch.randint(8, (count,), generator=generator)
        links = TypedLinks(*ends, kinds, torch.randint(searches, (count,), generator=generator))
        states = torch.randn(searches, nodes, 64, generator=generator)
        evidence, question = torch.rand(searches, nodes, generator=generator) < 0.1, torch.randn(searches, 24)
        network.train(training)

        once = partial(_pass_messages, network, states, evidence, links, question)
        once()
        figures[f"messages_ms_{name}"] = 1000 * min(timed(once) for _ in range(20))
    return figures


def _pass_messages(network: nn.Module, *inputs: object) -> None:
    """Compute new states, and the gradient of their mean square where the network trains."""
    with torch.set_grad_enabled(network.training):
        out = network(*inputs)
    if network.training:
        out.square().mean().backward()


def recall(corpus: Path, questions: Path, split: str, folder: Path) -> Figures:
    """Compare the dense index over the built-in int8 encoder with the same weights in fp32."""
    Index.build([corpus], folder / "fp32.index", encoder=load_encoder(str(model_folder())))
    figures = {}
    for name, encoder in (("speed", None), ("fp32", load_encoder(str(model_folder())))):
        index = Index.open(folder / f"{name}.index", encoder=encoder)
        found = evaluate(index, questions, split, system="dense").figures["recall@5"]
        figures[f"dense_recall@5_{'int8' if encoder is None else 'fp32'}"] = 100 * found
    return figures


def main() -> None:
    """Measure, print a table, write JSON."""
    wiki = Path("../shared/data/2wiki")
    parser = arguments(__doc__, "questions", "split", "policy", "most", questions=wiki)
    parser.add_argument("--corpus", type=Path, default=wiki)
    parser.add_argument("--steps", type=Path, default=None, metavar="INDEX", help="only step, and print rates")
    parser.add_argument("--messages", action="store_true", help="only pass messages")
    parser.add_argument("--search", type=Path, metavar="INDEX", help="only compare searches with hybrid and the policy")
    parsed = parse(parser)
    if parsed.search is not None:
        index = Index.open(parsed.search, threads=1)
        asked = [question.text for question in load_questions(parsed.questions, parsed.split)[0][: parsed.most]]
        results = side_by_side(index, asked, parsed.policy)
        show(f"searches of {len(asked)} questions over {parsed.search}", by_system(results), parsed)
        write(results, parsed)
        return
    if parsed.messages:
        show("speed", by_figure([messages()], digits=2), parsed)
        return
    if parsed.steps is not None:
        print(json.dumps(steps(parsed.steps, parsed.questions, parsed.split)))
        return
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "speed.index"
        asked, _ = load_questions(parsed.questions, parsed.split)
        figures = encoding(parsed.corpus, Path(folder))
        index = Index.open(place, threads=1)
        figures |= searching(index, [question.text for question in asked], parsed.policy)
        figures |= starting(place, asked[0].text, parsed.policy)
        figures |= stepping(place, parsed.questions, parsed.split)
        figures |= messages()
        figures |= recall(parsed.corpus, parsed.questions, parsed.split, Path(folder))
    show("speed", by_figure([figures], digits=2), parsed)
    write(figures, parsed)


if __name__ == "__main__":
    main()
