"""The page as a file: whole, alone, safe, and patient with what is missing."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from prealign.errors import PrealignError
from prealign.report import png
from prealign.report.page import write_comparison, write_report
from prealign.report.runs import Run

VOID = {"meta", "link", "br", "path"}


class Checker(HTMLParser):
    """Every element that opens closes, in order; collects text and what would be fetched."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.parts: list[str] = []
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
        self.parts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.parts).split()).replace("\N{NO-BREAK SPACE}", " ")


def write(folder: Path, run: Run) -> tuple[str, str]:
    write_report(run, folder / "report.html", folder / "figures")
    return (folder / "report.html").read_text(encoding="utf-8"), (folder / "report.md").read_text(encoding="utf-8")


def test_page(tmp_path, run):
    page, _ = write(tmp_path, run)
    found = Checker(page)
    assert found.fetched == ["data:,"]  # one file: no script, no picture, no style sheet, no network
    assert "<script" not in page
    assert "url(" not in page
    assert "@import" not in page
    for part in (
        "What did alignment buy?",
        "prealign 2.531 ± 0.011",  # 2.531, 2.535, 2.526 of three seeds
        "Bits per byte over training",
        "Word retrieval by layer",
        "Retrieval of held-out words by layer and time",
        "Transfer: topics",
        "joint de news 18 12",
        "prealign 5.0 % 4.8 % 2,400 114 0.40 %",
        "precision 99.3 % source language en",
        "joint 205k 819k 1.2e12 4.1e12 2 8 31",
        "prealign run runs/quickstart/recipe.yaml",
        "seeds 1, 2, 3 token store a359",
        "torch 2.13.0",
        "languages: en: text: - en.txt",
    ):
        assert part in found.text, part
    assert page.count("<figure") == 2 + 1 + 1 + 3 + 1  # bits, by layer, course, a heat map per arm, the training loss
    assert page.count('class="band') == 2 * 3 + 3


def test_nothing_that_was_measured_is_hidden(tmp_path, run):
    """A task that the page has never heard of is shown like the others."""
    for place, models in enumerate(run.results["arms"].values()):
        for model in models:
            measure = dict(model["tasks"]["bits_per_byte"]["measures"][0])
            measure |= {"task": "tea_leaves", "name": "tea", "of": "cups", "value": 0.5 + place, "headline": False}
            model["tasks"]["tea_leaves"] = {"scores": {"anything": [1, {"else": None}]}, "measures": [measure]}
    del run.results["comparison"]
    page, markdown = write(tmp_path, run)
    text = Checker(page).text
    assert "tea leaves" in text
    assert "arm tea cups joint 0.500 init_only 1.500 prealign 2.500" in text
    assert "| prealign | 2.500 |" in markdown
    for task in run.results["arms"]["joint"][0]["tasks"].values():
        for measure in task["measures"]:
            assert f"{measure['name']} {measure['of']}" in text


def test_words_in_context_and_sentences_are_drawn(tmp_path, run):
    for models in run.results["arms"].values():
        for model in models:
            words = model["tasks"]["word_retrieval"]["scores"]
            pooled = {"summary": {}, "mexa": [0.1, 0.2]}
            sentences = {"tatoeba en--de": pooled | {"poolings": {"last": pooled, "weighted": pooled}}}
            model["tasks"]["words_in_context"] = {"scores": words, "measures": []}
            model["tasks"]["sentence_retrieval"] = {"scores": sentences, "measures": []}
    page, _ = write(tmp_path, run)
    assert "Retrieval of words in sentences by layer" in page
    assert "Sentences: MEXA by layer" in page
    assert page.count("<figure") == 8 + 1 + 3


def test_arms_of_sentence_pairs(tmp_path, run, pair_results):
    """The page asks their question, shows each step, what they read and what they were trained on."""
    trained = {
        arm: {
            seed: [
                {"kind": "train", "stage": "pretrain", "step": step, "loss": {"lm": 7 - step / 10, "tlm": 8.0 - seed}}
                for step in (10, 20)
            ]
            for seed in (1, 2, 3)
        }
        for arm in pair_results["arms"]
    }
    page, markdown = write(tmp_path, replace(run, results=pair_results, metrics=trained, dictionaries=[]))
    text = Checker(page).text
    assert "Do translations of sentences find each other better with each loss" in text
    assert "align words across languages" not in text
    assert "What each loss adds measure arm against" in text
    assert "sentence P@1 en–de tatoeba xlco tlm +18.0 pp (+16.8 to +19.1)*" in text
    assert "tlm 0 80k 63k" in text
    assert page.count("<figure") == 2
    lines = markdown.replace("\N{NO-BREAK SPACE}", " ").splitlines()
    assert "| Language model | training steps | nats per predicted token |" in lines
    assert lines[lines.index("| Sentence pairs read as one | training steps | nats per predicted token |") + 2] == (
        "| joint | 20 | 6 |"  # the mean of 7, 6 and 5
    )
    assert "### What each loss adds" in lines


def test_markdown(tmp_path, run):
    _, text = write(tmp_path, run)
    assert text.startswith("# What did alignment buy?\n")
    assert "| joint | 2.575 ± 0.014 | 2.355 ± 0.009 |" in text.replace("\N{NO-BREAK SPACE}", " ")
    assert "## Dictionary en–de\n\n- precision: 99.3" in text
    assert "    prealign run runs/quickstart/recipe.yaml\n" in text
    assert text.endswith("```\n")
    assert "&" not in text.replace("&lt;", "")
    assert "\n\n\n\n" not in text


def test_pictures_that_the_markdown_names_are_there(tmp_path, run):
    pytest.importorskip("matplotlib")
    _, text = write(tmp_path, run)
    names = re.findall(r"\]\((figures/[^)]+)\)", text)
    assert len(names) == 8
    for name in names:
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")
    assert len(list((tmp_path / "figures").iterdir())) == 8


def test_without_matplotlib_there_are_no_pictures(tmp_path, run, monkeypatch):
    monkeypatch.setattr(png, "available", lambda: False)
    page, text = write(tmp_path, run)
    assert page.count("<figure") == 8
    assert "](figures/" not in text
    assert not (tmp_path / "figures").exists()


def test_texts_cannot_break_the_page(tmp_path, run):
    evil = "</script><b>&\"'"
    swapped = json.loads(json.dumps(run.results).replace('"init_only"', json.dumps(evil)))
    metrics = {evil if arm == "init_only" else arm: seeds for arm, seeds in run.metrics.items()}
    recipe = {"seed": 1, "output": evil, "report": {"title": evil}}
    page, _ = write(tmp_path, replace(run, results=swapped, metrics=metrics, recipe=recipe, command=evil))
    Checker(page)
    assert "<b>" not in page
    assert page.count("&lt;/script&gt;") >= 6


@pytest.mark.parametrize("tasks", [{}, {"bits_per_byte": {"scores": {}, "measures": []}}], ids=str)
def test_a_run_that_measured_nothing_has_a_page(tmp_path, tasks):
    arms = {"joint": [{"seed": 1, "tasks": tasks}], "prealign": []}
    for found in ({}, arms):
        page, text = write(tmp_path, Run("empty", {}, {"format": 2, "arms": found}, {}))
        Checker(page)
        assert "<figure" not in page
        assert "## To run it again" in text


def test_figures_of_an_older_report_do_not_stay(tmp_path, run):
    pytest.importorskip("matplotlib")
    write(tmp_path, run)
    write(tmp_path, replace(run, metrics={}))
    assert [path.name for path in (tmp_path / "figures").iterdir()] == ["retrieval-layers-1.png"]


def test_a_folder_that_holds_other_files_is_not_replaced(tmp_path, run):
    pytest.importorskip("matplotlib")
    (tmp_path / "figures").mkdir()
    (tmp_path / "figures" / "thesis.tex").write_text("mine")
    with pytest.raises(PrealignError, match=r"figures is to be replaced .* holds other files \(thesis.tex\)"):
        write(tmp_path, run)
    assert (tmp_path / "figures" / "thesis.tex").read_text() == "mine"


def test_runs_side_by_side(tmp_path, run):
    other = replace(
        run,
        name="longer",
        recipe={**run.recipe, "output": "runs/longer", "pretrain": {"switching": {"ratio": 0.1}}},
        results=json.loads(json.dumps(run.results).replace("de|n:400", "de|n:500")) | {"store": "b411"},
    )
    write_comparison([run, other], tmp_path / "comparison.html", tmp_path / "comparison-figures")
    text = Checker((tmp_path / "comparison.html").read_text(encoding="utf-8")).text
    for part in (
        "Comparison of quickstart and longer",
        "Every arm of the 2 runs is compared with quickstart/joint",
        "different token stores (quickstart a359, longer b411)",
        "longer/prealign 2.531 ± 0.011",
        "pretrain.switching.ratio 0.05 0.1",
        "quickstart: en–de",
        "quickstart/prealign 5.0 % 4.8 %",
        "longer/prealign 10.0 % 4.8 %",
    ):
        assert part in text, part
    assert re.search(r"headline measures do not compare in every run.*: bits/byte, de; accuracy, de\.", text)
    assert "runs/longer" not in text.split("To run it again")[0]
    assert (tmp_path / "comparison.md").is_file()
