"""Pages of HTML: whole, closed, and with every text escaped."""

import pytest

from darts.core.html import NOTHING, Html, badge, counted, page, paragraph, row, section, table, tiles, unfoldable
from pages import Page, assert_needs_nothing

EVIL = "<script>alert('x')</script>&\"$kind"


def evil_page():
    body = section(
        EVIL,
        paragraph(EVIL),
        table([EVIL], [[EVIL], [{EVIL: [EVIL, 1.0]}]]),
        unfoldable(EVIL, badge(EVIL)),
        tiles([("best", EVIL, EVIL)]),
    )
    return page(kind=EVIL, title=EVIL, subtitle=paragraph(EVIL, ""), body=body, footer=EVIL, style="p { margin: 0 }\n")


def test_no_text_is_taken_for_html_or_for_a_place_in_the_template():
    text = evil_page()
    assert "script" not in Page(text).tags
    assert Page(text).texts.count(EVIL) == 13
    assert "p { margin: 0 }\n</style>" in text


def test_a_page_needs_no_other_file_and_no_network():
    assert_needs_nothing(evil_page())


def test_html_is_not_escaped_again():
    assert paragraph(Html("<b>1</b>"), "") == "<p><b>1</b></p>"
    assert row(["a<", 2.0, None], ["n"]) == f'<tr><td class="n">a&lt;</td><td>2</td><td>{NOTHING}</td></tr>'


@pytest.mark.parametrize(("count", "text"), [(0, "0 runs"), (1, "1 run"), (2, "2 runs")])
def test_counts_have_a_plural(count, text):
    assert counted(count, "run") == text
