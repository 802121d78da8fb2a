import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from selectolax.lexbor import LexborHTMLParser
from trailhound.retrievers.compiling._markdown import headings
from trailhound.retrievers.corpus._html import html_to_text, read_html

PATH = Path("page.html")

PAGE = """<!DOCTYPE html><html><head><title> The
 Page </title><style>p {color: red}</style><script>var x = "<p>no</p>";</script></head>
<body><nav><ul><li><a href=/>Home</a></li></ul></nav>
<h1>Big <em>heading</em></h1><p>First   &amp; foremost,
<b>bo</b>ld.<br>Next line.</p>
<h2>Small</h2><ul><li>One<li>Two<ol><li>deep</ol></ul>
<table><tr><td>a</td><td>b</td></tr></table>
<pre>  keep
   this</pre>Loose end</body></html>"""


def test_paragraphs_headings_and_preformatted_parts_survive_and_scripts_do_not() -> None:
    read = html_to_text(PAGE)
    assert read.title == "The Page"
    assert read.text.split("\n\n") == [
        "# Big heading",
        "First & foremost, bold.\nNext line.",
        "## Small",
        "- One\n- Two\n  1. deep",
        "a",
        "b",
        "```\n  keep\n   this\n```",
        "Loose end",
    ]


TEXTS = [
    ("<pre># install\n\n```\nx</pre>", "````\n# install\n\n```\nx\n````"),
    ('<pre><code class="language-sh">a\n  b</code></pre>', "```sh\na\n  b\n```"),
    ("<pre><div>a</div><div># b</div></pre>", "```\na\n# b\n```"),
    ("<p># no heading</p>", "\\# no heading"),
    ("<p>over<br>---<br>under</p>", "over\n\\---\nunder"),
    ("<p>a | b<br>---|---</p>", "a | b\n\\---|---"),
    ("<p>over<br>=====</p>", "over\n\\====="),
    ("<p>```<p>~~~", "\\```\n\n\\~~~"),
    ("<p>&lt;script&gt;", "\\<script>"),
    ("<h2>Vec&lt;T&gt; and __init__</h2>", "## Vec\\<T> and `__init__`"),
    ("<h2>impl&lt;T, U&gt; for &lt;T&gt;</h2>", "## impl<T, U> for \\<T>"),
    ("<h2>About #</h2>", "## About \\#"),
    ("<h2>a<br>b</h2>", "## a b"),
    ("<p>use <code>x  y</code>, or <code>a`b</code></p>", "use `x y`, or `` a`b ``"),
    ("<p>wo<span>rd</span>s<wbr>here", "wordshere"),
    ("<dl><dt>Term</dt><dd>Meaning</dd></dl>", "Term\nMeaning"),
    ("<ol start=3><li>c<li value=7>g</ol>", "3. c\n7. g"),
    ("<ul><li><p>a</p><p>more</p></li><li>b</ul>", "- a\n\nmore\n\n- b"),
    ("<ul><li><pre>x</pre><ul><li>deep</ul></ul>", "```\nx\n```\n\n- deep"),
    ("<p>A <img src=x.png alt='red boat'> sails", "A red boat sails"),
    ("<details><summary>More</summary><p>hidden text</details>", "More\n\nhidden text"),
    ("<form><label>Your name</label><input></form>", "Your name"),
    ("<select><option>One<option>Two</select>", "One\n\nTwo"),
    ("<xmp><b></xmp>x", "```\n<b>\n```\n\nx"),
    ("<p><math><mi>x</mi><annotation encoding='application/x-tex'>x^2</annotation></math>", "x^2"),
    ("<textarea>typed</textarea>", "typed"),
    ("<frameset><noframes><p>no frames</noframes></frameset>", "no frames"),
    ("<h1>T<a class=headerlink href=#t>¶</a></h1>", "# T"),
    ("<h2><a href=#t>§</a>T</h2><p>note <a href=#r>↩</a>", "## T\n\nnote"),
    ("<pre>code<button>copy</button></pre>", "```\ncode\n```"),
    ("<p>Press <button>Copy</button> to go on. <button>Why it is so</button>", "Press to go on. Why it is so"),
    ("<p>See the <a href=x>source</a> here", "See the source here"),
    ("<p>a<svg><text>no</text></svg>b<!-- no -->c", "abc"),
    ("<template><nav>x</template><p>kept</p>", "kept"),
    ("</nav></pre></title></p>a</script>b", "ab"),
    ("<![CDATA[a < b]]> c", "a < b c"),
    ("<noscript>only here</noscript>", "only here"),
    ("<p>text<noscript>not here</noscript>", "text"),
    ("<body style='display:none'>shown by a script", "shown by a script"),
    ("<p hidden>gone</p><p>here", "here"),
    ("<div role=tabpanel hidden>Windows</div>", "Windows"),
]


@pytest.mark.parametrize(("page", "text"), TEXTS, ids=[page for page, _ in TEXTS])
def test_a_page_becomes_markdown(page: str, text: str) -> None:
    assert html_to_text(page).text == text


SWALLOWED = [
    ("<title>Title<p>text", "text"),
    ("a<!-- never closed <p>text</p>", "text"),
    ('<a href="x>link</a><p>text</p><a href="y">z</a>', "text"),
    ("<p title='x>text</p>", "text"),
    ("<textarea>typed<p>text", "text"),
    ("<svg><path><p>text", "text"),
    ("<div><nav><ul><li>Home</ul></div><p>text", "text"),
    ("<body><nav><ul><li><a href=/>Home</a></ul><h2>Fees</h2><p>The text says what it costs.</body>", "text says"),
    ("<header><main><p>text</main></header>", "text"),
    ("<select><option>One<p>text</p></body>", "text"),
    ("<table><p>text<tr><td>a", "text"),
    ("<iframe><p>text", "text"),
]


@pytest.mark.parametrize(("page", "text"), SWALLOWED, ids=[page for page, _ in SWALLOWED])
def test_what_is_never_closed_swallows_nothing(page: str, text: str) -> None:
    assert text in html_to_text(page).text


def test_what_must_be_swallowed_is_told() -> None:
    assert html_to_text("<p>a<script>b</p>").notes == ("a script element is never closed: what follows it is left out",)
    assert html_to_text("<a <a <a").notes == ("ends in the middle of a tag",)


def test_a_table_of_data_has_its_header_over_its_rows() -> None:
    page = (
        "<table><caption>Towns</caption><tr><th>Town<th>Height</tr><tr><td rowspan=2>Ely<td>20 m<tr><td>a|b"
        "<tr><td colspan=2>sum</table>"
    )
    assert html_to_text(page).text == (
        "Towns\n\n| Town | Height |\n|---|---|\n| Ely | 20 m |\n| Ely | a\\|b |\n| sum |  |"
    )
    assert html_to_text("<table><tr><td>a<td>b<tr><td>c<td>d</table>").text == (
        "|  |  |\n|---|---|\n| a | b |\n| c | d |"
    )


def test_a_table_for_layout_is_text() -> None:
    page = "<table><tr><td class=linenos><pre>1\n2</pre><td><pre>a\nb</pre><tr><td>x<td>y</table>"
    assert html_to_text(page).text == "```\na\nb\n```\n\nx\n\ny"


@pytest.mark.parametrize(
    ("page", "title"),
    [
        ("<title>A</title><h1>B</h1>", "A"),
        ("<h2>No</h2><h1>Yes</h1><h1>Later</h1>", "Yes"),
        ("<h2>Only</h2>", "Only"),
        ("<p>text</p>", ""),
        ("<svg><title>icon</title></svg><h1>Yes</h1>", "Yes"),
    ],
)
def test_the_title_is_that_of_the_head_else_the_first_heading(page: str, title: str) -> None:
    assert html_to_text(page).title == title


FURNITURE = [
    "<nav><a href=/>Home</a> GONE</nav>",
    "<div role=navigation><a href=/>GONE</a></div>",
    "<header><a href=/>GONE</a></header>",
    "<footer>GONE 2024 by nobody</footer>",
    "<div role=contentinfo>GONE</div>",
    "<div class=breadcrumbs><a href=/>GONE</a> / here</div>",
    "<div class='navheader'><table><tr><td><a href=p>GONE</a><td>Chapter 19<td><a href=n>Next</a></table></div>",
    "<ul id=toc><li><a href=#a>GONE</a><li><a href=#b>other</a></ul>",
    "<aside class=sidebar><a href=x>GONE</a></aside>",
    "<a class=skip href=#main>Skip to main GONE</a>",
    "<p><a href=x>Edit this GONE page</a></p>",
]


@pytest.mark.parametrize("part", FURNITURE)
@pytest.mark.parametrize(
    "frame", ["{part}{page}", "{page}{part}", "{part}<main>{page}</main>", "<div>{part}</div>{page}"]
)
def test_page_furniture_is_left_out_and_counted(part: str, frame: str) -> None:
    page = "<h1>Ferry</h1>" + "<p>The ferry leaves the harbour every morning at nine, but for Sundays.</p>" * 5
    read = html_to_text(frame.format(part=part, page=page))
    assert "GONE" not in read.text
    assert "every morning" in read.text
    assert dict(read.left_out) == {"parts of pages: navigation": 1}


KEPT = [
    "<article><header><p>KEPT</p></header><p>b</p><footer>by KEPT</footer></article>",
    "<header><h1>KEPT</h1></header><p>text",
    "<header><p>KEPT is what the page says in its header, and it says a lot.</p></header><p>text",
    "<aside><p>KEPT is a note beside the text.</p></aside><p>text",
    "<p>KEPT before the main part.</p><main><p>text</p></main>",
    "<nav>The whole page stands in its navigation, KEPT</nav>",
    "<ul class=toc><li><a href=a>KEPT</a></ul>",
    "<main><ul><li><a href=a>KEPT</a><li><a href=b>B</a></ul></main>",
    "<section><header><p>KEPT</p></header></section><p>text",
    "<p>Read the <a href=x>KEPT</a> first.</p>",
    "<div class=content><p>KEPT</div>",
    "<div class=header-note><p>KEPT says this</div><p>text",
]


@pytest.mark.parametrize("page", KEPT)
def test_what_is_in_doubt_is_kept(page: str) -> None:
    assert "KEPT" in html_to_text(page).text


def test_the_declared_encoding_is_read() -> None:
    declared = '<meta http-equiv="Content-Type" content="text/html; charset=windows-1251"><p>Привет, гавань'
    assert read_html(declared.encode("cp1251"), PATH).text == "Привет, гавань"
    declared = '<?xml version="1.0" encoding="iso-8859-2"?><p>Żółw</p>'
    assert read_html(declared.encode("iso-8859-2"), PATH).text == "Żółw"
    assert read_html("\ufeff<p>Hafen</p>".encode("utf-16-le"), PATH).text == "Hafen"


HOSTILE = {
    "unfinished tags": "<a " * 350_000,
    "unfinished comments": "<!--" * 250_000,
    "drawings": "<svg></nav>" * 90_000,
    "drawings with paragraphs": "<svg><p>" * 120_000 + "</svg>",
    "nested": "<div>" * 200_000 + "x",
    "nested behind a barrier": "<div><marquee></div></marquee>" * 33_000,
    "nested inline": "<span><div></span></div>" * 40_000,
    "tables": "<table><tr><td>" * 60_000,
    "cells over rows": "<table>" + "<tr><td rowspan=1000>a<td>b" * 35_000,
    "references": "&amp" * 250_000,
    "an attribute without end": "<p a='" + "x " * 500_000,
    "attributes": "<p " + " ".join(f"a{number}" for number in range(150_000)) + ">x",
    "lists": "<ul><li>" * 125_000,
    "formatting": "<b>" * 300_000 + "x<p>" * 1000,
    "fonts": "".join(f"<p><font size={number}>" for number in range(50_000)),
    "cdata": "<![CDATA[" * 110_000,
    "lines of code": "<pre>" + "<div>x</div>" * 80_000,
    "rules": "-<br>" * 200_000,
    "dashes": "- " * 500_000,
    "dashes before a word": "- " * 500_000 + "x",
    "a heading of lines": "<h1>" + "_" * 1_000_000 + "x",
    "a heading of tags": "<h1>" + "&lt;a " * 170_000,
}


@pytest.mark.timeout(120)
@pytest.mark.parametrize("page", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_page_of_a_megabyte_is_read_before_the_time_is_up(page: str) -> None:
    html_to_text(page)  # what takes time quadratic in its size takes minutes to hours


def perhaps_repeated(page: str) -> list[str]:
    read = html_to_text(page)
    return [read.text[start:end] for start, end in read.repeated]


@pytest.mark.parametrize(
    ("page", "repeated"),
    [
        ("<p><a href=x>Home</a><h1>A</h1><p>The ferry leaves the harbour at nine.", ["Home"]),
        (
            "<h1>A</h1><p>The ferry leaves the harbour at nine.<p>Was it helpful<p>© 2024 nobody.",
            ["Was it helpful", "©"],
        ),
        ("<h2>Keys</h2><p>Press a key<main><h1>A</h1><p>The ferry leaves.</main>", ["## Keys", "Press a key"]),
        ("<h1>A</h1><p>Status: approved<p>The ferry leaves the harbour at nine.", []),
        ("<h1>A</h1><p>Mind the tide, for whoever stays there drowns.<p>The ferry leaves the harbour.", []),
        ("<h1>A</h1><p>The ferry leaves the harbour at nine.<h2>See also</h2><p>The boats", ["The boats"]),
    ],
)
def test_what_other_pages_may_repeat_is_named_and_nothing_that_says_something(page: str, repeated: list[str]) -> None:
    found = perhaps_repeated(page)
    assert len(found) == len(repeated)
    assert all(text.startswith(begin) for text, begin in zip(found, repeated, strict=True))


def words(text: str) -> list[str]:
    return re.findall(r"[a-zA-Z0-9]+", text)


_TAGS = (
    "p",
    "/p",
    "div",
    "/div",
    "ul",
    "ol",
    "li",
    "/ul",
    "table",
    "tr",
    "td",
    "th",
    "/table",
    "pre",
    "/pre",
    "h1",
    "/h1",
)
_MORE = (
    "h3",
    "b",
    "/b",
    "i",
    "a href=x",
    "/a",
    "code",
    "/code",
    "br",
    "dl",
    "dt",
    "dd",
    "blockquote",
    "section",
    "/section",
)
_REST = ("span", "/span", "font", "img", "select", "option", "/select", "form", "button")
_WORDS = ("word", "other", "#", "---", "|", "`", "```", "~~~", "&lt;", "&amp;")
_PIECES = st.sampled_from([*(f"<{name}>" for name in (*_TAGS, *_MORE, *_REST)), *_WORDS])


@given(st.lists(_PIECES, max_size=60))
def test_every_visible_word_of_a_page_is_in_its_text(pieces: list[str]) -> None:
    page = "<body>" + " ".join(pieces)
    body = LexborHTMLParser(page).body
    assert body is not None
    text = html_to_text(page).text
    assert sorted(word for word in words(text) if not word.isdecimal()) == sorted(words(body.text(separator=" ")))


@given(st.lists(_PIECES.filter(lambda piece: piece not in ("<h1>", "<h3>")), max_size=60))
def test_a_page_without_headings_gives_a_text_without(pieces: list[str]) -> None:
    assert headings(html_to_text("<body>" + " ".join(pieces)).text) == []


@given(st.text("<>/!-[]=\"' &;#xapnvdi\n", max_size=80))
def test_any_input_is_read(page: str) -> None:
    read = html_to_text(page)
    assert not read.title.startswith(" ")
    assert "\0" not in read.text


@pytest.mark.parametrize("empty", ["script src='x.js'", "style", "video", "nav", "noscript", "div hidden='hidden'"])
def test_an_element_of_xhtml_that_closes_itself_swallows_nothing(empty: str) -> None:
    page = f"<html xmlns='x'><head><{empty}/></head><body><p>one</p><{empty}/><p>two<br/>three</p></body></html>"
    read = read_html(page.encode(), Path("page.xhtml"))
    assert read.text.split() == ["one", "two", "three"]
