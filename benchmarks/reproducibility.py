"""Training twice with one seed, in two processes: are the weights equal, bit for bit?

python benchmarks/reproducibility.py --index runs/quality/2wiki-train.index --questions ../shared/data/2wiki-train
"""

from __future__ import annotations

import argparse
import hashlib
import subprocess
import sys
import tempfile
from pathlib import Path


def main() -> None:
    """Train twice and compare the SHA-256 of the weights; exits with 1 when they differ."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--index", type=Path, required=True)
    parser.add_argument("--questions", type=Path, required=True)
    parser.add_argument("--recipe", default="2wiki")
    parser.add_argument("--seed", default="0")
    parsed = parser.parse_args()
    digests = []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(2):
            out = Path(folder) / str(number)
            command = [sys.executable, "-m", "trailhound", "train", "--index", parsed.index]
            command += ["--questions", parsed.questions, "--split", "train", "--out", out, "--quiet"]
            command += ["--recipe", parsed.recipe, "--seed", parsed.seed]
            subprocess.run([str(part) for part in command], check=True)
            digests.append(hashlib.sha256((out / "policy.safetensors").read_bytes()).hexdigest())
    print("\n".join(digests))
    print("equal" if digests[0] == digests[1] else "DIFFERENT")
    raise SystemExit(digests[0] != digests[1])


if __name__ == "__main__":
    main()
