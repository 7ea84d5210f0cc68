"""The preview as text and as a page: the same content, alone, safe, and with every script in its own direction."""

from __future__ import annotations

from pathlib import Path

import pytest

from prealign.codeswitch.preview import Preview, Rate, Sample, Segment, Token, TopWord
from prealign.dictionary.coverage import Coverage
from prealign.report.preview import WORDS_SHOWN, as_text, excerpt, write_page


def stayed(text: str) -> Segment:
    return Segment(text, text, None)


@pytest.fixture
def found() -> Preview:
    long = " and a long way <b>through</b> the valley" * 5
    sample = Sample(
        2,
        [stayed("The"), Segment(" Haus", " house", "de"), stayed(long), Segment(" ماء", " water", "ar"), stayed(".")],
        [[Token("The", 5, "The", None), Token("▁Haus", 7, "▁house", "de"), Token("▁ماء", 9, None, "ar")]],
    )
    return Preview(
        source_language="en",
        samples=[sample],
        asked=0.05,
        n_rows=3,
        n_tokens=1234,
        n_eligible=200,
        n_switched=11,
        by_language={"de": Rate(0.03, 0.035, 7), "ar": Rate(0.02, 0.02, 4)},
        length_change=1.012,
        cut_share=0.004,
        top_switched=[TopWord("house", 9, [("Haus", "de", 2 / 3), ("بيت", "ar", 1 / 3)])],
        coverage=Coverage(1000, 431, {"1-100": 0.62, "101-250": 0.2}, [("thing", 31)]),
    )


def text_of(found: Preview, with_tokens: bool = True) -> str:
    return as_text(found, "ratio 5.0%", columns=100, paint=lambda text, _: text, with_tokens=with_tokens)


def test_the_text_holds_samples_tokens_and_statistics(found):
    text = text_of(found)
    assert "    house" in text
    assert "\nThe Haus  and a long way" in text
    assert " … " in text
    assert "input  The  ▁Haus   \u2068▁ماء\u2069\nid     5    7       9\nlabel  The  ▁house  ·\n" in text
    for part in ("asked 5.0%, got 5.5%", "101.2% of the original", "0.40% of the tokens", "43.1% of 1,000"):
        assert part in text
    assert "de      3.00%  3.50%  7" in text
    assert "house  9      Haus (de) 67%, \u2068بيت\u2069 (ar) 33%" in text
    assert "thing  31" in text
    assert "label" not in text_of(found, with_tokens=False)
    assert all(line == line.rstrip() for line in text.splitlines())


def test_long_rows_are_shown_around_their_first_switched_words():
    segments = [part for i in range(20) for part in (stayed(" word" * 40), Segment(f" W{i}", f" w{i}", "de"))]
    shown = excerpt(Sample(0, segments, []))
    assert [s.text.strip() for s in shown if s.language] == [f"W{i}" for i in range(WORDS_SHOWN)]
    assert all(len(s.text) < 80 for s in shown)
    assert shown[0].text.startswith("…")
    assert shown[-1].text.endswith("… ")


def test_the_page_is_whole_alone_and_escaped(found, tmp_path: Path):
    write_page(found, "ratio 5.0%", tmp_path / "deep" / "page.html", with_tokens=True)
    page = (tmp_path / "deep" / "page.html").read_text(encoding="utf-8")
    assert '<ruby class="k1" lang="de" dir="auto">Haus<rt lang="en" dir="auto">house</rt></ruby>' in page
    assert '<bdi><ruby class="k2" lang="ar" dir="auto">ماء<rt' in page
    assert "&lt;b&gt;through&lt;/b&gt;" in page
    assert "<b>" not in page
    assert not any(part in page for part in ("<script", "http:", "https:", "@import", "url("))
    assert "prefers-color-scheme: dark" in page
    assert 'name="viewport"' in page
    for part in ("asked 5.0%, got 5.5%", "▁house", "·", "43.1% of 1,000", "Haus (de) 67%", "thing"):
        assert part in page
    for tag in ("ruby", "rt", "bdi", "table", "section", "article", "p"):
        assert page.count(f"<{tag}>") + page.count(f"<{tag} ") == page.count(f"</{tag}>"), tag
