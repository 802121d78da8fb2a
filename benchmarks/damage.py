"""Damage in every file of an index and a router, and torn tails of writers: is it noticed and named, and what opens?

python benchmarks/damage.py --damages 1000 --tails 300 --json damage.json

Every file that is named is damaged in turn: a bit is flipped, or it is cut, filled with zeros from some place on, or
made longer. Opening must raise an error of the package that names the file. A torn tail is what a power cut leaves of
a change that was not acknowledged: half a segment, a cut manifest that was not renamed yet. It must open as before.
"""

from __future__ import annotations

import argparse
import json
import platform
import re
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random

from trailhound import Index, IndexSettings
from trailhound.cli import main as trailhound
from trailhound.demo._encyclopedia import generate, write_beir
from trailhound.errors import TrailhoundError
from trailhound.retrievers._folder import LOCK

KINDS = ("flip", "cut", "zeros", "longer")


def main() -> None:
    """Damage, open, count; exits with 1 when a damage passed or an acknowledged change was refused."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--damages", type=int, default=1000)
    parser.add_argument("--tails", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    parsed = parser.parse_args()
    random = Random(parsed.seed)
    with tempfile.TemporaryDirectory(prefix="trailhound-damage-") as folder:
        place, router = make(Path(folder))
        figures: dict[str, object] = dict(damage(place, lambda: Index.open(place), parsed.damages // 2, random))
        figures["torn tails that opened"] = sum(tail(place, random) for _ in range(parsed.tails))
        Index.open(place, threads=1).compact()
        tune(place, router)
        routed = damage(router, lambda: Index.open(place, router=router).routing, parsed.damages // 2, random)
        figures |= {f"router: {name}": count for name, count in routed.items()}
    figures["machine"] = platform.platform()
    for name, value in figures.items():
        print(f"{name:<40}{value}")
    if parsed.json is not None:
        parsed.json.write_text(json.dumps(figures, indent=2) + "\n", "utf-8")
    missed = sum(int(str(value)) for name, value in figures.items() if name.endswith(("unnoticed", "unnamed")))
    raise SystemExit(bool(missed) or figures["torn tails that opened"] != parsed.tails)


UNREAD = re.compile(rf"^{LOCK}$|-checkpoint\.safetensors$|\.jsonl$|^(run|metrics)\.json$|^events\.")
"""Files that no search reads: the lock, logs, and what only a tuning that goes on reads."""


def make(folder: Path) -> tuple[Path, Path]:
    """Build an index with additions, deletions, word pieces and marks of duplicates."""
    world = generate(articles=120, questions=20, seed=1)
    write_beir(world, folder / "corpus")
    settings = IndexSettings(drop_duplicates=True, context="corpus")
    documents = list(world.documents)
    index = Index.build(documents[:100], folder / "x.index", settings=settings, threads=1)
    for document in documents[100:]:
        index.add([document])
    index.delete([document.id for document in documents[50:53]])
    return folder / "x.index", folder / "router"


def tune(place: Path, router: Path) -> None:
    """Tune a small router."""
    arguments = ["tune-router", "--index", str(place), "--out", str(router), "--shards", "4", "--made", "60", "--quiet"]
    if trailhound(arguments):
        raise SystemExit("the router could not be tuned")


def damage(folder: Path, use: Callable[[], object], count: int, random: Random) -> Counter[str]:
    """Damage the files of a folder in turn, and count what became of it."""
    found: Counter[str] = Counter({"unnoticed": 0, "unnamed": 0})
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and not UNREAD.search(path.name)]
    found["files"] = len(files)
    use()
    for number in range(count):
        path, kind = files[number % len(files)], KINDS[number // len(files) % len(KINDS)]
        whole = path.read_bytes()
        path.write_bytes(damaged(whole, kind, random))
        try:
            use()
            found["unnoticed"] += 1
            print(f"unnoticed: {kind} of {path.relative_to(folder)}")
        except TrailhoundError as error:
            named = path.name in str(error)
            found["noticed and named" if named else "unnamed"] += 1
            if not named:
                print(f"unnamed: {kind} of {path.relative_to(folder)}: {error}")
        path.write_bytes(whole)
    use()
    return found


def damaged(whole: bytes, kind: str, random: Random) -> bytes:
    """Return a file with one damage."""
    at = random.randrange(max(len(whole), 1))
    if kind == "flip" and whole:
        return whole[:at] + bytes([whole[at] ^ 1 << random.randrange(8)]) + whole[at + 1 :]
    if kind == "cut" and whole:
        return whole[:at]
    if kind == "zeros" and whole.rstrip(b"\0"):
        at = random.randrange(len(whole.rstrip(b"\0")))
        return whole[:at] + bytes(len(whole) - at)
    return whole + random.randbytes(random.randint(1, 100))


def tail(place: Path, random: Random) -> bool:
    """Leave what a change that was cut off leaves, and return whether the index opens as before."""
    before = [passage.id for passage in Index.open(place, verify=False).store]
    segments = sorted(path for path in (place / "segments").iterdir() if path.is_dir())
    torn = place / "segments" / f"s{random.randrange(900_000, 999_999):06d}"
    shutil.copytree(random.choice(segments), torn)
    for path in [path for path in torn.rglob("*") if path.is_file()]:
        if random.random() < 0.3:
            path.unlink()
        else:
            path.write_bytes(damaged(path.read_bytes(), random.choice(KINDS), random))
    manifest = (place / "manifest.json").read_bytes()
    (place / f".manifest.json.{random.randrange(9999)}").write_bytes(damaged(manifest, random.choice(KINDS), random))
    (place / "segments" / f"{segments[0].name}.deleted-999999").write_bytes(random.randbytes(9))
    (place / "lock").write_bytes(random.randbytes(random.randrange(9)))
    try:
        index = Index.open(place, threads=1)
        if random.random() < 0.1:  # a writer removes what is left
            index.delete([index.store.document_ids()[-1]])
            return not torn.exists()
        return [passage.id for passage in index.store] == before
    except TrailhoundError as error:
        print(f"refused: {error}")
        return False


if __name__ == "__main__":
    main()
