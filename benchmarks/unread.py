"""How many word pieces of a corpus no vector has read: texts of many kinds, and every corpus of a data folder.

    python benchmarks/unread.py
    python benchmarks/unread.py --data ../shared/data

A passage is embedded with its title, what is repeated before it, and its line of context; the encoder reads the first
256 word pieces, the rest is unread. Words that are too long for the tokenizer count as the parts that it is given.
"""

from __future__ import annotations

import argparse
import random
import string
import time
from collections.abc import Iterator
from pathlib import Path

from trailhound.index.settings import IndexSettings
from trailhound.retrievers.compiling._compiler import CorpusCompiler
from trailhound.retrievers.compiling._masking import Masker
from trailhound.retrievers.compiling._window import Window
from trailhound.retrievers.corpus._loading import CorpusReader
from trailhound.retrievers.records import Document
from trailhound.retrievers.vectors._encoder import MiniLMEncoder


def made_texts(rng: random.Random) -> Iterator[Document]:
    """Yield texts that are many word pieces for their words."""
    log = [
        f"2024-03-{i % 28 + 1:02d}T12:{i % 60:02d}:33.{rng.randint(100, 999)}Z ERROR com.acme.billing.InvoiceService"
        f"[{rng.getrandbits(32):08x}] timeout after {rng.randint(100, 9999)}ms conn=10.0.{i % 255}.7:5432"
        for i in range(300)
    ]
    yield Document("log", "server", "\n".join(log), markup="plain")
    records = [
        f'{{"id": "{rng.getrandbits(64):016x}", "amount": {rng.uniform(1, 9999):.2f}, "currency": "EUR"}}'
        for _ in range(200)
    ]
    yield Document("json", "payments", "[" + ",\n".join(records) + "]", markup="code")
    yield Document("json line", "payments", "[" + ",".join(records) + "]", markup="code")
    links = [
        f"- https://example.org/docs/v{i}/reference/section-{i * 7}/index.html?lang=en&ref={rng.getrandbits(40):x}"
        for i in range(200)
    ]
    yield Document("urls", "links", "# Links\n\n" + "\n".join(links))
    digits = string.ascii_letters + string.digits + "+/"
    yield Document("base64", "", "see attachment " + "".join(rng.choices(digits, k=20_000)) + " end")
    yield Document("hexadecimal", "", "".join(rng.choices("0123456789abcdef", k=20_000)))
    sentences = {
        "german": "Die Bundesausbildungsförderungsverordnung regelt Grundstücksverkehrsgenehmigungszuständigkeiten. ",
        "russian": "Правительство утвердило порядок предоставления субсидий сельскохозяйственным производителям. ",
        "japanese": "東京都の研究所は新しい検索方法を発表した。",
        "thai": "กรุงเทพมหานครเป็นเมืองหลวงของประเทศไทยและมีแม่น้ำเจ้าพระยาไหลผ่าน",
        "korean": "서울특별시는 대한민국의 수도이자 최대 도시이며 한강이 흐른다. ",
        "emoji": "😀🎉🚀 ",
    }
    for name, sentence in sentences.items():
        yield Document(name, name, sentence * 60)
    header = "| " + " | ".join(f"column {i}" for i in range(12)) + " |\n" + "|---" * 12 + "|\n"
    rows = ("| " + " | ".join(f"{rng.uniform(0, 9999):.2f}" for _ in range(12)) + " |" for _ in range(200))
    yield Document("table", "readings", "# Readings\n\n" + header + "\n".join(rows))
    yield Document("python source", "", Path(__file__).read_text(encoding="utf-8"), markup="code")
    yield Document("long title", "A title that says everything " * 90, "Short text. " * 200)
    yield Document("long record", "A title that says everything " * 90, "Short text. " * 200, atomic=True)


def unread(documents: list[Document], context: str, window: Window, limit: int) -> str:
    """Return the line of a table: passages, the longest, word pieces that no vector has read, and seconds."""
    compiler = CorpusCompiler(Masker(), IndexSettings().chunk_tokens, window, context)  # type: ignore[arg-type]
    start = time.process_time()
    list(compiler.compile(documents))
    lines = compiler.lines()
    embedded = window.embedded(compiler.passages, lines)
    seconds = time.process_time() - start
    counts = window.counts(embedded)
    lost = sum(max(0, count - limit) for count in counts) / sum(counts)
    whole = sum(text.endswith(passage.text) for text, passage in zip(embedded, compiler.passages, strict=True))
    complete = "yes" if whole == len(embedded) else "NO"
    return f"{len(documents):,} | {len(embedded):,} | {max(counts)} | {lost:.1%} | {complete} | {seconds:.1f}"


def main() -> None:
    """Print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder of corpora")
    parser.add_argument("--context", choices=("none", "corpus"), default="none")
    parsed = parser.parse_args()
    encoder = MiniLMEncoder(threads=1)
    window = Window(encoder)
    limit = encoder.max_tokens - 2
    print("| corpus | documents | passages | longest | unread | texts whole | seconds |\n|---|--:|--:|--:|--:|---|--:|")
    for document in made_texts(random.Random(1)):
        print(f"| {document.id} | {unread([document], parsed.context, window, limit)} |", flush=True)
    for corpus in sorted(parsed.data.glob("*/corpus.jsonl")) if parsed.data else ():
        documents = list(CorpusReader([corpus], lambda message: None))
        print(f"| {corpus.parent.name} | {unread(documents, parsed.context, window, limit)} |", flush=True)


if __name__ == "__main__":
    main()
