"""The page as a file: whole, alone, safe, and patient with what is missing."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from prealign.report import png, tables
from prealign.report.page import write_report

VOID = {"meta", "link", "br", "path"}


class Checker(HTMLParser):
    """Every element that opens closes, in order; collects text and what would be fetched."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text: list[str] = []
        self.fetched: list[str] = []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.fetched += [value for name, value in attrs if name in ("src", "href", "data", "srcset")]
        if tag not in VOID or (tag == "path" and not self.get_starttag_text().endswith("/>")):
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        pass

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def write(folder: Path, arms, metrics, **changes) -> tuple[str, str]:
    card = {"source_language": "en", "target_language": "en-x-clone", "entries": 4312, "quality": {"precision": 0.993}}
    options = {
        "title": "What did alignment buy?",
        "recipe": {
            "seed": 1,
            "languages": {"en": {"text": ["python-docs"]}},
            "pretrain": {"switching": {"ratio": 0.05}},
        },
        "results": {"arms": arms, "seeds": [1]},
        "metrics": metrics,
        "dictionaries": [card],
        "command": "prealign run runs/quickstart/recipe.yaml",
    }
    write_report(folder, **(options | changes))
    return (folder / "report.html").read_text(encoding="utf-8"), (folder / "report.md").read_text(encoding="utf-8")


def test_page(tmp_path, arms, metrics):
    page, _ = write(tmp_path, arms, metrics)
    found = Checker(page)
    text = " ".join(" ".join(found.text).split()).replace("\N{NO-BREAK SPACE}", " ")
    assert found.fetched == ["data:,"]  # one file: no script, no picture, no style sheet, no network
    assert "<script" not in page
    assert "url(" not in page
    assert "@import" not in page
    for part in (
        "lowered bits per byte of en-x-clone by 10.0 % (3.000 to 2.700)",
        "2.700 −10.0 %",
        "60.0 % L1: 70.0 %",
        "Bits per byte over training",
        "Retrieval of held-out words by layer",
        "Retrieval of held-out words by layer and time",
        "ratio achieved 4.8 %",  # 38 of 800
        "tokens cut at block ends, per LM token 0.40 %",  # 16 of 4,000
        "precision 99.3 % source language en",
        "joint 1k 4k 2 8 500",  # 4,000 tokens in 8 s
        "prealign run runs/quickstart/recipe.yaml",
        "languages: en: text: - python-docs",
    ):
        assert part in text, part
    assert page.count("<figure") == 7


def test_markdown(tmp_path, arms, metrics):
    _, text = write(tmp_path, arms, metrics)
    assert text.startswith("# What did alignment buy?\n")
    assert "| joint | 2.000 | 3.000 |" in text
    assert "## Dictionary en–en-x-clone\n\n- precision: 99.3" in text
    assert "    prealign run runs/quickstart/recipe.yaml\n" in text
    assert text.endswith("```\n")
    assert "&" not in text.replace("&lt;", "")


def test_pictures_that_the_markdown_names_are_there(tmp_path, arms, metrics):
    pytest.importorskip("matplotlib")
    _, text = write(tmp_path, arms, metrics)
    names = re.findall(r"\]\((figures/[^)]+)\)", text)
    assert len(names) == 7
    for name in names:
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")
    assert len(list((tmp_path / "figures").iterdir())) == 7


def test_without_matplotlib_there_are_no_pictures(tmp_path, arms, metrics, monkeypatch):
    monkeypatch.setattr(png, "available", lambda: False)
    page, text = write(tmp_path, arms, metrics)
    assert page.count("<figure") == 7
    assert "](figures/" not in text
    assert not (tmp_path / "figures").exists()


def test_texts_cannot_break_the_page(tmp_path, arms, metrics):
    evil = "</script><b>&\"'"
    page, _ = write(
        tmp_path, {evil: arms["joint"], "joint": arms["joint"]}, {evil: metrics["joint"]}, title=evil, command=evil,
        recipe={"seed": 1, "output": evil},
    )  # fmt: skip
    Checker(page)
    assert "<b>" not in page
    assert page.count("&lt;/script&gt;") >= 6


@pytest.mark.parametrize("arms", [{}, {"joint": {}}, {"joint": {}, "prealign": {}}], ids=str)
def test_an_empty_run_has_a_page(tmp_path, arms):
    page, text = write(tmp_path, arms, {}, recipe={}, results={"arms": arms}, dictionaries=[], command="")
    Checker(page)
    assert "<figure" not in page
    assert "##" in text


def test_figures_of_an_older_report_do_not_stay(tmp_path, arms, metrics):
    pytest.importorskip("matplotlib")
    write(tmp_path, arms, metrics)
    write(tmp_path, arms, {})
    assert sorted(path.name for path in (tmp_path / "figures").iterdir()) == [
        "retrieval-layers-1.png",
        "retrieval-layers-2.png",
    ]


def test_seconds_by_the_clock_of_the_rows(arms, metrics):
    del arms["joint"]["seconds"]
    assert tables.costs_table(arms, metrics)[0] == ["joint", "1k", "4k", "2", "8", "500"]


@pytest.mark.parametrize(
    ("value", "key", "text"),
    [
        (4312, "entries", "4,312"),
        (0.993, "precision", "99.3 %"),
        (0.1, "min_probability", "0.1"),
        (True, "casefold", "yes"),
        ([], "corpora", "none"),
        (["a", {"name": "b", "lines": 12000}], "corpora", "a, name b, lines 12,000"),
    ],
)
def test_values_for_people(value, key, text):
    assert tables.text_of(value, key).replace("\N{NO-BREAK SPACE}", " ") == text


def test_long_cards_are_cut_and_say_so():
    card = tables.dictionary_card({f"fact_{i}": i for i in range(40)} | {"nested": {"a": None, "b": {"c": 1}}})
    assert len(card["facts"]) == 31
    assert card["facts"][-1] == ("…", "11 more in card.json")
