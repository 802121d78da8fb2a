"""How long reading and cutting HTML pages takes beside encoding their passages, and how much furniture is left out.

    python benchmarks/readers.py                     # 500 pages that it makes: reading and cutting
    python benchmarks/readers.py --encode            # and a whole build beside encoding
    python benchmarks/readers.py --folder docs/html  # the pages of a folder

A page that is made has navigation, a header, a list of links beside 1,000 to 2,000 words, tables, code, and a footer.
"""

from __future__ import annotations

import argparse
import random
import tempfile
from pathlib import Path
from time import perf_counter, process_time

from trailhound.retrievers.compiling._chunking import chunk
from trailhound.retrievers.corpus._loading import CorpusReader

SYLLABLES = "har bour fer ry light house moor ing tide cap tain rope sail stone"


def made(folder: Path, pages: int) -> None:
    """Write the pages of a site."""
    chance = random.Random(13)
    syllables = SYLLABLES.split(" ")

    def words(count: int) -> str:
        return " ".join("".join(chance.choices(syllables, k=chance.randint(1, 4))) for _ in range(count))

    def links(count: int) -> str:
        return "".join(f'<li class="item"><a href="p{number}.html">{words(2)}</a></li>' for number in range(count))

    menu, beside = links(12), links(80)
    for page in range(pages):
        sections = []
        for section in range(chance.randint(4, 8)):
            text = "".join(f"<p>{words(60).capitalize()}, <a href=x>{words(2)}</a>.</p>" for _ in range(3))
            rows = "".join(f"<tr><td>{words(1)}<td>{words(5)}<td>{chance.random():.3f}</tr>" for _ in range(6))
            table = f"<table><thead><tr><th>Name</th><th>What</th><th>How much</th></tr></thead>{rows}</table>"
            code = f"<pre><code>def {words(1)}():\n    # {words(4)}\n    return {section}</code></pre>"
            sections.append(f"<section><h2 id=s{section}>{words(3)}</h2>{text}{table}{code}</section>")
        (folder / f"p{page:04}.html").write_text(
            f"<!DOCTYPE html><html><head><title>{words(3)}</title><style>p {{ margin: 0 }}</style></head><body>"
            f"<header><nav><ul>{menu}</ul></nav></header><div class=sidebar><ul>{beside}</ul></div>"
            f"<div class=content><h1>{words(3)}</h1>{''.join(sections)}</div>"
            f"<footer><p>© 2024 {words(3)}</p></footer></body></html>",
            encoding="utf-8",
        )


def read_and_cut(folder: Path) -> None:
    """Print how long each of both takes alone."""
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    reader = CorpusReader([folder], lambda warning: None)
    started = process_time()
    documents = list(reader)
    reading = process_time() - started
    started = process_time()
    passages = sum(len(chunk(document)) for document in documents)
    cutting = process_time() - started
    print(f"{len(documents):,} documents of {size / 1e6:.1f} MB, {passages:,} passages")
    print(f"reading {reading:.2f} s, {1000 * reading / max(1, passages):.2f} ms a passage; cutting {cutting:.2f} s")
    print("left out:", *(f"{count:,} {kind};" for kind, count in reader.report.left_out.items()))


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
        Index.build([folder], Path(scratch) / "html.index", progress=progress)
        seconds = perf_counter() - started
    print(f"whole build {seconds:.1f} s;", *(f"{stage} {value:.1f} s" for stage, value in spent.items()), sep="  ")
    print(f"beside encoding: {seconds / spent['encoding passages']:.2f} times")


def main() -> None:
    """Read the pages and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--pages", type=int, default=500)
    parser.add_argument("--encode", action="store_true")
    parsed = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = parsed.folder or Path(scratch)
        if parsed.folder is None:
            made(folder, parsed.pages)
        read_and_cut(folder)
        if parsed.encode:
            beside_encoding(folder)


if __name__ == "__main__":
    main()
