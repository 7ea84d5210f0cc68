"""Labelled texts: tables of examples, files as classes, and what is told of bad rows."""

from __future__ import annotations

import json
import lzma
from pathlib import Path

import duckdb
import pytest

from prealign.corpora.drops import Drops
from prealign.corpora.labelled import Example, parallel_rows, read_classes, read_examples
from prealign.errors import PrealignError

NLI = ("text", "text", "label")


def written(path: Path, *lines: str) -> Path:
    opener = lzma.open if path.suffix == ".xz" else open
    with opener(path, "wt", encoding="utf-8") as file:
        file.write("".join(line + "\n" for line in lines))
    return path


def test_pairs_of_texts_numbered_by_line_and_further_columns_unread(tmp_path: Path) -> None:
    path = written(
        tmp_path / "nli.ar.tsv.xz",
        "هو نائم\tهو مستيقظ\tcontradiction\tmnli",
        "Cafe\u0301\t 他睡了 \tneutral",
    )
    assert read_examples(path, NLI, Drops()) == [
        Example("1", ("هو نائم", "هو مستيقظ"), "contradiction"),
        Example("2", ("Café", "他睡了"), "neutral"),
    ]


def test_single_texts_and_a_column_of_row_numbers(tmp_path: Path) -> None:
    single = written(tmp_path / "a.tsv", "gut\tja", "schlecht\tnein")
    assert read_examples(single, ("text", "label"), Drops())[1] == Example("2", ("schlecht",), "nein")
    numbered = written(tmp_path / "b.tsv", "17\tA b.\tB a.\t0", "4\tC d.\tD c.\t1")
    assert read_examples(numbered, ("row", "text", "text", "label"), Drops()) == [
        Example("17", ("A b.", "B a."), "0"),
        Example("4", ("C d.", "D c."), "1"),
    ]


def test_json_lines_with_names_or_numbers_as_labels(tmp_path: Path) -> None:
    records = [
        {"premise": "Он спит.", "hypothesis": "Он бодр.", "label": 2, "id": None, "idx": 7},
        {"sentence1": "Он спит.", "sentence2": "Он тих.", "gold_label": "entailment", "id": "x"},
    ]
    path = written(tmp_path / "a.jsonl", *map(json.dumps, records))
    assert read_examples(path, NLI, Drops()) == [
        Example("7", ("Он спит.", "Он бодр."), "2"),
        Example("x", ("Он спит.", "Он тих."), "entailment"),
    ]


def test_rows_without_a_gold_label_are_left_out_and_counted(tmp_path: Path) -> None:
    drops = Drops()
    path = written(tmp_path / "a.tsv", "a\tb\t-", "c\td\tneutral")
    assert [example.row for example in read_examples(path, NLI, drops)] == ["2"]
    assert drops.as_dict() == {"rows without a gold label": {"count": 1, "samples": ["a.tsv, line 1: a | b"]}}


def test_bad_rows_are_told_together_with_their_lines(tmp_path: Path) -> None:
    path = written(tmp_path / "a.tsv", "a\tb\tneutral", "only one", "c\t \tneutral", "d\te\tneutral")
    with pytest.raises(PrealignError) as caught:
        read_examples(path, NLI, Drops())
    assert str(caught.value).splitlines() == [
        f"{path} has 2 bad rows:",
        "  - line 2: 1 columns, but `columns` names 3: text, text, label",
        "  - line 3: an empty text",
    ]


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("{", "line 1: no JSON"),
        ("[1]", "line 1: no JSON object"),
        ('{"premise": "a", "label": 1}', "no texts (premise and hypothesis, sentence1 and sentence2, or text)"),
        ('{"text": "a"}', "or no label in text"),
        ('{"text": 5, "label": 1}', "text is empty or no text"),
        ('{"text": "a", "label": 0.5}', "the label is 0.5; it must be a name or a whole number"),
    ],
)
def test_bad_json_rows(tmp_path: Path, line: str, sentence: str) -> None:
    with pytest.raises(PrealignError, match="has 1 bad row:") as caught:
        read_examples(written(tmp_path / "a.jsonl", line), NLI, Drops())
    assert sentence in str(caught.value)


def test_many_bad_rows_are_counted_and_rows_must_differ(tmp_path: Path) -> None:
    with pytest.raises(PrealignError, match=r"has 9 bad rows:(.|\n)*line 5(.|\n)*- and 4 more"):
        read_examples(written(tmp_path / "a.tsv", *["x"] * 9), NLI, Drops())
    twice = written(tmp_path / "b.tsv", "1\ta\tyes", "1\tb\tno")
    with pytest.raises(PrealignError, match="line 2: row 1 was there before"):
        read_examples(twice, ("row", "text", "label"), Drops())
    header = written(tmp_path / "d.tsv", "premise\thypothesis\tgold_label", "a\tb\tneutral")
    with pytest.raises(PrealignError, match=r"line 1: a header \(premise \| hypothesis \| gold_label\); take it away"):
        read_examples(header, NLI, Drops())
    with pytest.raises(PrealignError, match=r"are read from \.tsv and \.jsonl"):
        read_examples(written(tmp_path / "c.txt", "a"), NLI, Drops())


def test_files_as_classes(tmp_path: Path) -> None:
    news, wiki = written(tmp_path / "news.txt", "Kurse fallen.", "Tor!"), written(tmp_path / "wiki.txt", "Berlin ist")
    assert read_classes([news, wiki], ["news", "wiki"]) == [
        Example("news 1", ("Kurse fallen.",), "news"),
        Example("news 2", ("Tor!",), "news"),
        Example("wiki 1", ("Berlin ist",), "wiki"),
    ]
    with pytest.raises(PrealignError, match=r"empty\.txt, line 2 is empty; every line .* label news is a text"):
        read_classes([written(tmp_path / "empty.txt", "a", ""), wiki], ["news", "wiki"])


def test_parallel_rows_pair_by_number_and_refuse_other_labels() -> None:
    english = [Example("1", ("a", "b"), "yes"), Example("2", ("c", "d"), "no"), Example("3", ("e", "f"), "no")]
    german = [Example("3", ("E", "F"), "no"), Example("1", ("A", "B"), "yes")]
    assert [(one.texts, other.texts) for one, other in parallel_rows(english, german)] == [
        (("a", "b"), ("A", "B")),
        (("e", "f"), ("E", "F")),
    ]
    with pytest.raises(PrealignError, match="row 2 is labelled no in one language and yes in another"):
        list(parallel_rows(english, [Example("2", ("C", "D"), "yes")]))
    with pytest.raises(PrealignError, match="have no row in common"):
        list(parallel_rows(english, [Example("9", ("C", "D"), "yes")]))


def test_the_real_files(shared_data: Path) -> None:
    english = read_examples(shared_data / "nli" / "xnli.dev.en.tsv.xz", NLI, Drops())
    swahili = read_examples(shared_data / "nli" / "xnli.dev.sw.tsv.xz", NLI, Drops())
    assert len(english) == len(list(parallel_rows(english, swahili))) == 2490
    assert {example.label for example in english} == {"entailment", "neutral", "contradiction"}
    paws = ("row", "text", "text", "label")
    french = read_examples(shared_data / "nli" / "pawsx.dev.fr.tsv.xz", paws, Drops())
    chinese = read_examples(shared_data / "nli" / "pawsx.dev.zh.tsv.xz", paws, Drops())
    both = len(list(parallel_rows(french, chinese)))
    assert 1900 < both < min(len(french), len(chinese))  # other rows are missing in each


@pytest.mark.parametrize(
    ("metadata", "labels"),
    [
        ('{"info": {"features": {"label": {"names": ["no", "yes"]}, "text": {"dtype": "string"}}}}', ["yes", "no"]),
        ('{"info": {"features": {"text": {"names": ["no", "yes"]}}}}', ["1", "0"]),
        ('{"info": {"features": ["label"]}}', ["1", "0"]),
        ("no JSON", ["1", "0"]),
        (None, ["1", "0"]),
    ],
)
def test_parquet_has_names_of_classes_or_numbers(tmp_path: Path, metadata: str | None, labels: list[str]) -> None:
    path = tmp_path / "a.parquet"
    query = "select * from (values ('去', 1, 'b'), ('来', 0, 'a'), ('走', -1, 'c')) t(text, label, id)"
    told = f", kv_metadata {{huggingface: '{metadata}'}}" if metadata else ""
    duckdb.execute(f"copy ({query}) to '{path}' (format parquet{told})")
    drops = Drops()
    assert read_examples(path, NLI, drops) == [Example("b", ("去",), labels[0]), Example("a", ("来",), labels[1])]
    assert drops.as_dict()["rows without a gold label"]["samples"] == ["a.parquet, row 3: 走"]


def test_bad_parquet_rows_are_told_with_their_numbers(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    duckdb.execute(f"copy (select 'a' as text, 1 as label union all select '', 0) to '{path}' (format parquet)")
    with pytest.raises(PrealignError, match=r"has 1 bad row:\n  - row 2: text is empty or no text"):
        read_examples(path, NLI, Drops())
    path.write_bytes(b"a\tb\tc\n")
    with pytest.raises(PrealignError, match=r"a\.parquet is damaged or no Parquet file"):
        read_examples(path, NLI, Drops())
