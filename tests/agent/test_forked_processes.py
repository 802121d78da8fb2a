"""An agent loaded before a fork answers in the child as in the parent, whatever other threads did meanwhile."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from trailhound import Document, ShardedIndex

BEGIN = """
import json, multiprocessing, os, sys, threading
from trailhound import SearchAgent

QUESTIONS = ["Who directed the film?", "Where was the director born?", "When was the singer born?"]
agent = SearchAgent(sys.argv[1], system=sys.argv[2] or None)

def found(question):
    result = agent.search(question)
    return [result.answer and result.answer.text, [one.passage.id for one in result.evidence]]

stop = threading.Event()
def go_on_searching():
    while not stop.is_set():
        agent.search(QUESTIONS[0])
"""
CHILDREN = """
wanted = list(map(found, QUESTIONS))
threads = [threading.Thread(target=go_on_searching) for _ in range(2)]
for thread in threads:
    thread.start()
codes = []
for number in range(6):
    child = os.fork()
    if not child:
        same = list(map(found, QUESTIONS)) == wanted
        if number % 2:
            os._exit(0 if same else 1)
        stop.set()
        sys.exit(0 if same else 1)  # destroys what there is, as a worker of a server does
    codes.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
stop.set()
for thread in threads:
    thread.join()
print(json.dumps([codes, list(map(found, QUESTIONS)) == wanted]))
"""
POOL = """
wanted = list(map(found, QUESTIONS))
with multiprocessing.get_context("fork").Pool(2) as pool:
    print(json.dumps(pool.map(found, QUESTIONS * 4) == wanted * 4))
"""
LOADER = """
from torch.utils.data import DataLoader

class Asked:
    def __len__(self):
        return len(QUESTIONS)
    def __getitem__(self, number):
        return found(QUESTIONS[number])

wanted = list(map(found, QUESTIONS))
loader = DataLoader(Asked(), batch_size=None, num_workers=2, multiprocessing_context="fork")
print(json.dumps(list(loader) == wanted))
"""


def said(index: Path, system: str, work: str) -> Any:
    """Return what a process of its own prints; a child that hangs fails."""
    command = [sys.executable, "-c", BEGIN + work, str(index), system]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("system", ["", "hybrid"])
def test_children_that_are_forked_while_threads_search(built_in_index: Path, system: str) -> None:
    assert said(built_in_index, system, CHILDREN) == [[0] * 6, True]


def test_a_pool_of_forked_processes(built_in_index: Path) -> None:
    assert said(built_in_index, "", POOL) is True


def test_workers_of_a_data_loader(built_in_index: Path) -> None:
    assert said(built_in_index, "", LOADER) is True


def test_children_that_are_forked_while_threads_search_shards(tmp_path: Path) -> None:
    texts = {"film": "The film was directed by Anna.", "anna": "Anna was born in Torl.", "singer": "Ben sings."}
    documents = [Document(name, name.title(), text) for name, text in texts.items()]
    ShardedIndex.build(documents, tmp_path / "shards", 2).close()
    assert said(tmp_path / "shards", "", CHILDREN) == [[0] * 6, True]
