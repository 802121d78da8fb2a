"""PDF beside pdftotext: which words are glued, which are missing, and how long reading takes beside encoding.

    python benchmarks/pdf.py                      # 20 PDFs of 100 pages that it makes
    python benchmarks/pdf.py --folder papers/     # those of a folder
    python benchmarks/pdf.py --encode             # and the time of encoding their passages

Needs pdftotext (poppler-utils). A word of ours is glued where it is two or more words in a row of pdftotext's. A word
is missing that pdftotext reads and that is no part of ours, once hyphens at the ends of lines are joined in both.
"""

from __future__ import annotations

import argparse
import random
import re
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from time import perf_counter

from trailhound.retrievers.corpus._pdf import read_pdf

WORD = re.compile(r"\w+")
SYLLABLES = (
    "har",
    "bour",
    "fer",
    "ry",
    "light",
    "house",
    "moor",
    "ing",
    "tide",
    "cap",
    "tain",
    "rope",
    "sail",
    "stone",
)


def made(folder: Path, files: int, pages: int) -> None:
    """Write PDFs of justified prose with running headers, by Platypus of reportlab."""
    from reportlab.lib.enums import TA_JUSTIFY
    from reportlab.lib.styles import getSampleStyleSheet
    from reportlab.platypus import PageBreak, Paragraph, SimpleDocTemplate, Table

    chance = random.Random(13)
    style = getSampleStyleSheet()["BodyText"]
    style.alignment = TA_JUSTIFY

    def word() -> str:
        return "".join(chance.choices(SYLLABLES, k=chance.randint(1, 3)))

    for number in range(files):
        parts: list[object] = []
        for page in range(pages):
            for _ in range(5):
                sentence = " ".join(word() for _ in range(90))
                parts.append(Paragraph(f"{sentence.capitalize()}.", style))
            if page % 10 == 0:
                parts.append(Table([[word(), word(), str(chance.randint(1, 999))] for _ in range(6)]))
            parts.append(PageBreak())
        SimpleDocTemplate(str(folder / f"{number:02}.pdf")).build(parts)


def words_of(text: str) -> list[str]:
    """Return words, those divided at the end of a line in one piece."""
    return WORD.findall(re.sub(r"(\w)[-\u2010\u00ad]\n\s*(?=[a-z])", r"\1", text).replace("\u00ad", ""))


def glued(ours: list[str], theirs: list[str]) -> Iterator[str]:
    """Yield our words that pdftotext has as two or three words in a row and never as one."""
    known = set(theirs)
    runs = {first + second for first, second in pairwise(theirs)}
    runs |= {a + b + c for (a, b), (_, c) in pairwise(pairwise(theirs))}
    yield from (word for word in ours if word not in known and word in runs)


def main() -> None:
    """Read every PDF of a folder by both, and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--files", type=int, default=20)
    parser.add_argument("--pages", type=int, default=100)
    parser.add_argument("--encode", action="store_true")
    parsed = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = parsed.folder or Path(scratch)
        if parsed.folder is None:
            made(folder, parsed.files, parsed.pages)
        compare(sorted(folder.glob("*.pdf")))
        if parsed.encode:
            beside_encoding(folder)


def compare(paths: list[Path]) -> None:
    """Print a line for each file, and the sums."""
    sums: Counter[str] = Counter()
    for path in paths:
        started = perf_counter()
        read = read_pdf(path.read_bytes(), path)
        seconds = perf_counter() - started
        done = subprocess.run(["pdftotext", "-enc", "UTF-8", str(path), "-"], capture_output=True, check=True)
        ours, theirs = words_of(read.text), words_of(done.stdout.decode("utf-8", errors="replace"))
        stuck = list(glued(ours, theirs))
        lost = Counter(theirs) - Counter(ours)
        row = {"pages": len(read.page_starts), "words": len(ours), "glued": len(stuck), "lost": lost.total()}
        sums.update(row)
        sums["milliseconds"] += round(1000 * seconds)
        print(path.name, *(f"{name} {value:,}" for name, value in row.items()), f"{seconds:.2f} s", stuck[:5], sep="  ")
    share = 100 * sums["glued"] / max(1, sums["words"])
    print(*(f"{name} {value:,}" for name, value in sums.items()), f"glued {share:.3f} %", sep="  ")


def beside_encoding(folder: Path) -> None:
    """Print how long a whole build takes beside encoding alone."""
    from trailhound import Index

    spent: dict[str, float] = {}
    begun: dict[str, float] = {}

    def progress(stage: str, done: int, total: int) -> None:
        begun.setdefault(stage, perf_counter())
        spent[stage] = perf_counter() - begun[stage]

    with tempfile.TemporaryDirectory() as scratch:
        started = perf_counter()
        Index.build([folder], Path(scratch) / "pdf.index", progress=progress)
        seconds = perf_counter() - started
    print(f"whole build {seconds:.1f} s;", *(f"{stage} {value:.1f} s" for stage, value in spent.items()), sep="  ")
    print(f"beside encoding: {seconds / spent['encoding passages']:.2f} times")


if __name__ == "__main__":
    main()
