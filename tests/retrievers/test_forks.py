"""After a fork locks, connections and engines are new ones, and no call of a library was cut in two."""

from __future__ import annotations

import json
import subprocess
import sys

BEGIN = """
import json, os, sqlite3, threading, time
from functools import cached_property
from trailhound.retrievers._forks import PerProcess, Uncut, is_forked

def in_child(work):
    read, write = os.pipe()
    child = os.fork()
    if not child:
        os.write(write, json.dumps(work()).encode())
        os._exit(0)
    os.close(write)
    os.waitpid(child, 0)
    return json.loads(os.read(read, 100_000))

def aside(work):
    begun = threading.Event()
    thread = threading.Thread(target=work, args=(begun,), daemon=True)
    thread.start()
    begun.wait()
    return thread
"""
LOCK = """
lock, leave = PerProcess(threading.Lock), threading.Event()
def hold(begun):
    with lock():
        begun.set()
        leave.wait()
thread = aside(hold)
def taken():
    took = lock().acquire(timeout=20)
    return [took, lock() is lock(), is_forked()]
print(json.dumps([in_child(taken), lock().locked(), is_forked()]))
leave.set()
"""
CONNECTION = """
made = PerProcess(lambda: sqlite3.connect(":memory:"), left_behind=True)
first = id(made())
print(json.dumps([first == id(made()), in_child(lambda: [id(made()) == first, made().execute("select 7").fetchone()])]))
"""
DESTRUCTOR = """
class Engine:
    def __del__(self):
        os.write(2, b"destroyed")
engine = PerProcess(Engine, left_behind=True)
def drop():
    global engine
    del engine
print(json.dumps(in_child(drop)))
"""
UNCUT = """
inside, calls = [0], 0
stop = threading.Event()
def call(begun):
    begun.set()
    while not stop.is_set():
        with Uncut():
            inside[0] += 1
            time.sleep(0.002)
            inside[0] -= 1
        time.sleep(0.0001)
thread = aside(call)
cut = [in_child(lambda: inside[0]) for _ in range(30)]
stop.set()
thread.join()
print(json.dumps(cut))
"""
PROPERTY = """
import sys, types
leave = threading.Event()
class Slow:
    @cached_property
    def value(self):
        if begun is not None:
            begun.set()
            leave.wait()
        return 7
sys.modules["trailhound.slow"] = types.SimpleNamespace(Slow=Slow)
def look(event):
    global begun
    begun = event
    Slow().value
aside(look)
def again():
    global begun
    begun = None
    return Slow().value
print(json.dumps(in_child(again)))
leave.set()
"""


def said(work: str) -> object:
    """Return what a process of its own prints; a hang fails."""
    done = subprocess.run(
        [sys.executable, "-c", BEGIN + work], capture_output=True, text=True, check=False, timeout=120
    )
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


def test_a_lock_that_another_thread_held_is_free_in_the_child() -> None:
    assert said(LOCK) == [[True, True, True], True, False]


def test_a_connection_is_opened_again() -> None:
    assert said(CONNECTION) == [True, [False, [7]]]


def test_what_must_not_be_destroyed_in_a_child_is_not() -> None:
    done = subprocess.run([sys.executable, "-c", BEGIN + DESTRUCTOR], capture_output=True, text=True, check=True)
    assert done.stderr.count("destroyed") == 1  # the parent's own, at its end


def test_no_fork_cuts_a_call() -> None:
    assert said(UNCUT) == [0] * 30


def test_a_cached_property_that_another_thread_computes_is_computed_in_the_child() -> None:
    assert said(PROPERTY) == 7
