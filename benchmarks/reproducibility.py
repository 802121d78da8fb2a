"""Training twice with one seed, in two processes: are the weights equal, bit for bit?

python benchmarks/reproducibility.py --index runs/quality/2wiki-train.index --questions ../shared/data/2wiki-train
"""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path

from inputs import anew, arguments, parse, run, settings
from table import write


def main() -> None:
    """Train twice and compare the SHA-256 of the weights; exits with 1 when they differ."""
    parser = arguments(__doc__, "index", "questions", "set")
    parser.add_argument("--recipe", default="2wiki")
    parser.add_argument("--seed", default="0")
    parsed = parse(parser)
    digests = []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(2):
            out = Path(folder) / str(number)
            over = ["--index", parsed.index, "--questions", parsed.questions, "--split", "train"]
            run(["train", *over, *anew(parsed.recipe), "--seed", parsed.seed, *settings(parsed), "--out", out])
            digests.append(hashlib.sha256((out / "policy.safetensors").read_bytes()).hexdigest())
    print("\n".join(digests))
    print("equal" if digests[0] == digests[1] else "DIFFERENT")
    write(digests, parsed)
    raise SystemExit(digests[0] != digests[1])


if __name__ == "__main__":
    main()
