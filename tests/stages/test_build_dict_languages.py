"""Dictionaries of real Arabic and Chinese text through the commands: words found, linked, counted and shown."""

from __future__ import annotations

import lzma
from itertools import islice
from pathlib import Path

import pytest

from prealign import cli
from prealign.dictionary.dictionary import Dictionary
from prealign.report.interlinear import width

SENTENCE_PAIRS = 2_000
"""The shortest sentences of Tatoeba; its files are sorted by length."""
ARABIC = {
    "here": "هنا", "now": "الآن", "Tom": "توم", "who": "من", "where": "أين", "we": "نحن", "want": "أريد", "in": "في",
}  # fmt: skip
CHINESE = {
    "we": "我们", "Tom": "汤姆", "she": "她", "like": "喜欢", "need": "需要", "they": "他们", "please": "请",
}  # fmt: skip


def built(shared_data: Path, folder: Path, language: str) -> Path:
    with lzma.open(shared_data / "parallel" / f"tatoeba.en-{language}.tsv.xz", "rt", encoding="utf-8") as lines:
        text = "".join(islice(lines, SENTENCE_PAIRS))
    corpus = folder / f"tatoeba.en-{language}.tsv"
    corpus.write_text(text, encoding="utf-8")
    made = folder / f"en-{language}"
    ends = ["--source", "en", "--target", language, "--output", str(made)]
    assert cli.run(["build-dict", "--parallel", str(corpus), *ends]) == 0
    return made


@pytest.mark.parametrize(
    ("language", "segmenter", "expected"), [("ar", "icu", ARABIC), ("zh", "rjieba", CHINESE)], ids=["ar", "zh"]
)
def test_first_translations(
    shared_data: Path, tmp_path: Path, language: str, segmenter: str, expected: dict[str, str]
) -> None:
    dictionary = Dictionary.read(built(shared_data, tmp_path, language))
    first = {source: entries[0].target for source, entries in dictionary.by_source().items()}
    assert {source: first.get(source) for source in expected} == expected
    assert len(dictionary) > 400  # 482 and 524 when this was written
    assert dictionary.card["target_segmenter"].startswith(segmenter)


@pytest.mark.parametrize("language", ["ar", "zh"])
def test_the_columns_of_show_stand_under_each_other(
    shared_data: Path, tmp_path: Path, language: str, capsys: pytest.CaptureFixture[str]
) -> None:
    made = built(shared_data, tmp_path, language)
    capsys.readouterr()
    assert cli.run(["dictionary", "show", str(made), "--top", "30"]) == 0
    heading, *rows = capsys.readouterr().out.split("\n\n")[1].splitlines()
    counts_begin = width(heading[: heading.index("count")])
    assert len(rows) == 30
    for row in rows:
        before_target, target, count, *_ = row.split()
        before_count, _ = row.split(count, 1)
        assert before_count.startswith(before_target)
        assert width(before_count) == counts_begin, row
        if language == "ar":  # isolated, so that the numbers stay on its right
            assert (target[0], target[-1]) == ("\u2068", "\u2069")
