"""Time of reading, chunking and masking texts that are made to be slow: twice the size must take twice the time.

    python benchmarks/linear.py                 # half a megabyte and one, of every kind of file and of every mask
    python benchmarks/linear.py --size 100000

A line for each text says the CPU seconds of the larger size, how many times the smaller's they are, and marks what
takes more than two seconds for a megabyte or more than three times as long for twice the size.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import process_time

from trailhound.retrievers.compiling._compiler import CorpusCompiler
from trailhound.retrievers.compiling._masking import KINDS, Masker
from trailhound.retrievers.corpus._loading import CorpusReader

UNITS = {
    "html": [
        "<a ",
        "<!--",
        "<svg>x</nav>",
        "<div>",
        "<table><tr><td>x",
        "&amp",
        "<p a='",
        "<ul><li>x",
        "<pre>",
        "x<b>",
    ],
    "md": [f"# a{' ' * 1000}b\n", "# a ", "12 May ", "> ", "[a](", "![", "`", "<!--", "**", "a\n", "|a|b|\n"],
    "txt": [
        "12 May ",
        "a",
        "a ",
        "ab. ",
        "A.",
        "No. ",
        "1 ",
        "é",
        "字",
        "ก",
        "\u0301",
        "a-",
        "a_",
        "e.g. ",
        "\u00ad",
        "/",
    ],
    "mask": [
        "12 May ",
        "1 ",
        "+1 ",
        "0170 ",
        "a@",
        "a@b.",
        "::",
        "1.",
        "DE00 ",
        "password=",
        "key ",
        "phone 1",
        "a_",
        "(0",
    ],
}


def reading(suffix: str) -> Callable[[str], None]:
    """Return what reads and cuts a text as a file of that suffix."""

    def run(text: str) -> None:
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, f"a.{suffix}").write_text(text)
            Path(folder, "b.txt").write_text("So that there is a document.")
            list(CorpusCompiler(Masker()).compile(CorpusReader([Path(folder)], lambda message: None)))

    return run


def main() -> None:
    """Run every text at both sizes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=1_000_000)
    size = parser.parse_args().size
    masker = Masker(KINDS)
    for kind, units in UNITS.items():
        run = reading(kind) if kind != "mask" else lambda text: list(masker.find(text))
        run("warm")
        for unit in units:
            seconds = []
            for length in (size // 2, size):
                text = (unit * (length // len(unit) + 1))[:length]
                started = process_time()
                run(text)
                seconds.append(process_time() - started)
            times = seconds[1] / max(seconds[0], 0.01)
            slow = "  SLOW" if seconds[1] > 2e-6 * size or times > 3 else ""
            print(f"{kind:5} {unit[:16]!r:24} {seconds[1]:6.2f} s  {times:4.1f} times{slow}", flush=True)


if __name__ == "__main__":
    main()
