"""Inside the block libraries compute on so many threads as were asked for, and afterwards as they did before."""

from __future__ import annotations

import json
import os
import subprocess
import sys

BEGIN = """
import json, threading
import numpy, threadpoolctl
from trailhound.retrievers._thread_limits import computing_on

def numbers():
    return [one["num_threads"] for one in sorted(threadpoolctl.threadpool_info(), key=lambda one: one["filepath"])]

def in_thread(work):
    said = []
    thread = threading.Thread(target=lambda: said.append(work()))
    thread.start()
    thread.join()
    return said[0]

def limited():
    before = numbers()
    with computing_on(1):
        inside = numbers()
    return [set(inside) == {1}, before == numbers(), max(before)]
"""
LIBRARIES = """
import faiss, torch
def with_torch():
    torch.get_num_threads()  # which it sets up at the first use in a thread
    return limited()
print(json.dumps([with_torch(), in_thread(with_torch)]))
"""
TORCH = """
import torch
def torch_limited():
    with computing_on(1):
        torch.ones(300, 300) @ torch.ones(300, 300)
        inside = torch.get_num_threads()
    return [inside, torch.get_num_threads() == before]
before = torch.get_num_threads()
print(json.dumps(in_thread(torch_limited)))
"""
LATER = """
with computing_on(1):
    import faiss
    inside = max(numbers())
print(json.dumps([inside, limited()]))
"""
TOGETHER = """
inside, leave = threading.Event(), threading.Event()
def hold():
    with computing_on(1):
        inside.set()
        leave.wait()
before = numbers()
thread = threading.Thread(target=hold)
thread.start()
inside.wait()
with computing_on(2):
    between = max(numbers())
held = max(numbers())
leave.set()
thread.join()
print(json.dumps([between, held, numbers() == before]))
"""
FORKED = """
import os, sys
if not (child := os.fork()):
    with computing_on(3):
        sys.exit(max(numbers()) - 1)
print(json.dumps(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])))
"""


def said(work: str) -> object:
    """Return what a process of its own prints; its libraries would use three threads."""
    environment = {**os.environ, "OMP_NUM_THREADS": "3", "OPENBLAS_NUM_THREADS": "3", "MKL_NUM_THREADS": "3"}
    command = [sys.executable, "-c", BEGIN + work]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_every_library_is_limited_in_every_thread_and_set_back() -> None:
    assert said(LIBRARIES) == [[True, True, 3]] * 2


def test_torch_does_not_overrule_it_at_its_first_use_in_a_thread() -> None:
    assert said(TORCH) == [1, True]


def test_a_library_that_is_loaded_inside_is_limited_from_the_next_search_on() -> None:
    assert said(LATER) == [3, [True, True, 3]]


def test_of_several_searches_at_once_the_least_number_holds_until_the_last_ends() -> None:
    assert said(TOGETHER) == [1, 1, True]


def test_in_a_forked_process_it_is_one() -> None:
    assert said(FORKED) == 0
