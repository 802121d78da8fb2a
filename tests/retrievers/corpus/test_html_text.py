import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from trailhound.errors import CorpusError
from trailhound.retrievers.corpus._html import html_to_text

PATH = Path("page.html")

PAGE = """<!DOCTYPE html><html><head><title> The
 Page </title><style>p {color: red}</style><script>var x = "<p>no</p>";</script></head>
<body><nav><ul><li>Home</li></ul></nav>
<h1>Big <em>heading</em></h1><p>First   &amp; foremost,
<b>bold</b>.<br>Next line.</p>
<h2>Small</h2><ul><li>One<li>Two</ul>
<table><tr><td>a</td><td>b</td></tr></table>
<pre>  keep
   this</pre>Loose end</body></html>"""


def test_paragraphs_headings_and_preformatted_parts_survive_and_scripts_do_not() -> None:
    title, text = html_to_text(PAGE, PATH)
    assert title == "The Page"
    assert text.split("\n\n") == [
        "# Big heading",
        "First & foremost, bold.\nNext line.",
        "## Small",
        "One",
        "Two",
        "a b",
        "  keep\n   this",
        "Loose end",
    ]


def test_first_main_heading_is_the_title_when_there_is_no_title_tag() -> None:
    assert html_to_text("<h2>No</h2><h1>Yes</h1><h1>Later</h1>", PATH)[0] == "Yes"
    assert html_to_text("<p>text</p>", PATH) == ("", "text")


def test_unclosed_navigation_ends_with_an_outer_skipped_part() -> None:
    assert html_to_text("<template><nav>x</template><p>kept</p>", PATH)[1] == "kept"


def test_stray_closing_tags_change_nothing() -> None:
    assert html_to_text("</nav></pre></title></p>a</script>b", PATH)[1] == "ab"


def test_unreadable_declaration_names_file_and_line() -> None:
    with pytest.raises(CorpusError, match=re.escape("page.html:2: not readable as HTML")):
        html_to_text("<p>a</p>\n<![nonsense[ x ]]>", PATH)


@given(st.text("<>/!-[]=\"' &;#xapnv\n", max_size=60))
def test_any_input_gives_text_or_a_corpus_error(page: str) -> None:
    try:
        title, text = html_to_text(page, PATH)
    except CorpusError:
        return
    assert not title.startswith(" ")
    assert "\n\n\n" not in text or "<pre" in page
