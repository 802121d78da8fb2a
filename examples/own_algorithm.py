"""Bring your own algorithm to the environment: here, a policy that takes any legal action.

python examples/own_algorithm.py train.index data/2wiki-train
"""

import sys

import gymnasium
import numpy as np
import trailhound  # noqa: F401 - registers the environment

env = gymnasium.make("trailhound/Search-v0", index=sys.argv[1], questions=sys.argv[2], split="train")
generator = np.random.default_rng(0)
returns = []
for episode in range(100):
    observation, info = env.reset(seed=episode)
    ended, total = False, 0.0
    while not ended:
        legal = np.flatnonzero(env.unwrapped.action_masks())
        observation, reward, ended, _, info = env.step(generator.choice(legal))
        total += float(reward)
    returns.append(total)
print(f"mean return of random legal actions over 100 questions: {np.mean(returns):.3f}")
