"""Random texts through the chunker: offsets exact, nothing lost or twice, no passage longer than the encoder reads.

    python benchmarks/random_texts.py --texts 100000

Each text is a row of marks, words and characters of all scripts, in a markup and a size of passages drawn with it.
"""

from __future__ import annotations

import argparse
import random
import sys

from trailhound.retrievers.compiling._chunking import chunk
from trailhound.retrievers.compiling._window import Window
from trailhound.retrievers.records import Document, Markup, Passage
from trailhound.retrievers.vectors._encoder import MiniLMEncoder

MARKS = [
    *(
        "\n",
        "\n\n",
        "  ",
        "\t",
        "# ",
        "## Head\n",
        "```\n",
        "~~~\n",
        "- ",
        "* ",
        "1. ",
        "> ",
        "| a | b |\n|---|---|\n",
        "|",
    ),
    *(
        "===\n",
        "---\n",
        "+++\n",
        "title: x\n",
        "<!--",
        "-->",
        "<div>\n",
        "[x]: y\n",
        "    ",
        "\r\n",
        "\r",
        "\x0b",
        "\x0c",
    ),
    *(
        "\u2028",
        "\x85",
        "\xa0",
        "\u200b",
        "\xad",
        "•\t",
        "Mr. ",
        "U.S. ",
        "3.14 ",
        "end. ",
        "what? ",
        "…",
        "。",
        "文",
        "é",
    ),
    *("e\u0301", "😀", "ﬁ", "สวัสดี", "서울", "A1-2_3/4 ", "0" * 130, "ab" * 90, "word " * 30, "Sentences end. " * 9),
]
MARKUPS: tuple[Markup, ...] = ("markdown", "plain", "code")


def made(rng: random.Random) -> str:
    """Return a random text."""
    parts = [
        rng.choice(MARKS)
        if rng.random() < 0.8
        else chr(rng.choice((rng.randrange(32, 0x3000), rng.randrange(0x20, 0xD7FF))))
        for _ in range(rng.randrange(60))
    ]
    return "".join(parts)


def fault(text: str, passages: list[Passage]) -> str:
    """Return what is wrong with the passages of a text; "" for nothing."""
    position, outside = 0, ""
    for passage in passages:
        if passage.start < position or passage.text != text[passage.start : passage.end]:
            return "an offset"
        outside += text[position : passage.start]
        position = passage.end
        inside, place = "", 0
        for start, end in passage.sentences:
            if start < place or end > len(passage.text):
                return "a sentence"
            inside, place = inside + passage.text[place:start], end
        if (inside + passage.text[place:]).strip():
            return "text of no sentence"
    return "text of no passage" if (outside + text[position:]).strip() else ""


def main() -> int:
    """Print how many texts were cut, and every fault."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parsed = parser.parse_args()
    rng, window = random.Random(parsed.seed), Window(MiniLMEncoder(threads=1))
    passages, faults, longest = 0, 0, 0
    for number in range(parsed.texts):
        text, markup, atomic = made(rng), rng.choice(MARKUPS), rng.random() < 0.2
        found = chunk(Document("d", "Title", text, markup=markup, atomic=atomic), rng.choice((8, 40, 300)), window)
        passages += len(found)
        wrong = fault(text, found)
        longest = max(longest, *window.counts(window.embedded(found, [""] * len(found))), 0)
        if wrong or longest > (window.limit or longest):
            faults += 1
            print(f"text {number} ({markup}): {wrong or 'a passage is too long'}: {text!r}")
    print(
        f"{parsed.texts:,} texts, {passages:,} passages, {faults} faults, longest passage {longest} of {window.limit}"
    )
    return min(faults, 1)


if __name__ == "__main__":
    sys.exit(main())
