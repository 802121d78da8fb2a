"""A search imports neither torch nor what stands on it: an application that embeds the agent pays for none of them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = ("torch", "torch_geometric", "transformers", "stable_baselines3")

SEARCH = """
import json, sys
from trailhound import Index, SearchAgent

index = Index.open(sys.argv[1])
agent = SearchAgent(index, system=sys.argv[2] or None)
result = agent.search("Who is the mother of the director of the film Polish-Russian War?")
assert result.evidence and result.evidence[0].sentence is not None
assert result.answer is not None
print(json.dumps([agent.answered_by, *(name for name in sys.argv[3:] if name in sys.modules)]))
"""


AGENT = """
import sys
from trailhound import SearchAgent
with SearchAgent(sys.argv[1]) as agent:
    agent.warm_up()
    result, other = agent.search_many(["Who directed the film?", "Where was the director born?"])
    assert result.answer is not None and other.context(500)
    assert list(agent.stream("Who sings?"))[-1].answered_by == agent.answered_by
print(*(name for name in sys.argv[2:] if name in sys.modules))
"""
COMMAND = """
import sys
from trailhound.cli import main
assert main(["search", sys.argv[1], "Who directed the film?"]) == 0
print("\\nimported:", *(name for name in sys.argv[2:] if name in sys.modules))
"""


def printed(program: str, *arguments: str) -> str:
    done = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_neither_does_an_agent_that_is_warmed_up_answers_and_streams(built_in_index: Path) -> None:
    assert printed(AGENT, str(built_in_index), *HEAVY).split() == []


def test_nor_does_the_command_line(built_in_index: Path) -> None:
    assert printed(COMMAND, str(built_in_index), *HEAVY).endswith("\nimported:\n")


@pytest.mark.parametrize("system", ["", "hybrid", "hops", "ppr"])
def test_a_search_imports_nothing_heavy(built_in_index: Path, system: str) -> None:
    command = [sys.executable, "-c", SEARCH, str(built_in_index), system, *HEAVY]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    answered_by, *imported = json.loads(done.stdout)
    assert answered_by == (f"fixed system: {system}" if system else "policy that comes with the package")
    assert imported == []
