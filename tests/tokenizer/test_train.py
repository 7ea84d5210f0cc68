"""Training a tokenizer and its Hugging Face face."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import unicodedata
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import sentencepiece
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer

from prealign.config.settings import TokenizerSettings
from prealign.corpora.document_formats import read_documents
from prealign.corpora.drops import Drops
from prealign.errors import PrealignError
from prealign.tokenizer.train import MAX_LINE_BYTES, sample_documents, train_tokenizer, training_lines

MODELS = ["unigram", "bpe"]
SAME = {"unigram": 0.995, "bpe": 1.0}
"""Share of lines that must be cut as SentencePiece cuts them; unigram ties ("****", "VIII") may fall otherwise."""
TEXTS = [
    "Two lines\nand  two   spaces.\n\n    indented\tand a tab \n",
    "Emoji 👩‍💻😀, Zürich, 日本語と中文, Привет, مرحبا, ไทย",
    "it's 1,234.5 (approx.) <0x41> \u00a0\u2028\r",
    " leading and trailing ",
    "",
    "\n",
]


def settings_of(model: str, vocab_size: int = 2000, **more: Any) -> TokenizerSettings:
    return TokenizerSettings.model_validate({"model": model, "vocab_size": vocab_size, **more})


def sentencepiece_of(folder: Path) -> Any:
    return sentencepiece.SentencePieceProcessor(model_file=str(folder / "sentencepiece.model"))


def ids_of(tokenizer: Any, texts: list[str]) -> list[list[int]]:
    return [encoding.ids for encoding in tokenizer.backend_tokenizer.encode_batch(texts, add_special_tokens=False)]


@pytest.mark.parametrize("model", MODELS)
def test_nothing_of_the_text_is_lost(trained: dict[str, Path], documents: list[str], model: str) -> None:
    tokenizer = AutoTokenizer.from_pretrained(trained[model])
    for text in TEXTS + documents[:100]:
        assert tokenizer.decode(tokenizer(text)["input_ids"]) == text


@pytest.mark.parametrize("model", MODELS)
def test_any_text_comes_back_in_nfc(trained: dict[str, Path], model: str) -> None:
    tokenizer = AutoTokenizer.from_pretrained(trained[model])

    @settings(max_examples=100, deadline=None)
    @given(st.text(st.characters(codec="utf-8", exclude_characters="\u2581\0")))
    def check(text: str) -> None:
        if not any(token in text for token in tokenizer.all_special_tokens):
            assert tokenizer.decode(tokenizer(text)["input_ids"]) == unicodedata.normalize("NFC", text)

    check()


@pytest.mark.parametrize("model", MODELS)
def test_special_tokens_and_pieces_with_a_promise(trained: dict[str, Path], model: str) -> None:
    tokenizer = AutoTokenizer.from_pretrained(trained[model])
    assert len(tokenizer) == 2000
    names = (tokenizer.unk_token, tokenizer.bos_token, tokenizer.eos_token, tokenizer.pad_token)
    assert names == ("<unk>", "<s>", "</s>", "<pad>")
    ids = (tokenizer.unk_token_id, tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id)
    assert ids == (0, 1, 2, 3)
    vocabulary = tokenizer.get_vocab()
    assert {"\n", "\t", *map(chr, range(0x21, 0x7F)), *(f"<0x{byte:02X}>" for byte in range(256))} <= set(vocabulary)
    assert tokenizer.convert_ids_to_tokens(tokenizer("in 2024\n")["input_ids"]) == ["in", "▁", *"2024", "\n"]


@pytest.mark.parametrize("model", MODELS)
def test_it_encodes_as_sentencepiece_does(trained: dict[str, Path], documents: list[str], model: str) -> None:
    lines = [line for document in documents for line in document.split("\n") if line] + TEXTS
    assert len(lines) > 3000
    assert same_encoding(trained[model], lines) >= SAME[model]


@pytest.mark.parametrize("model", MODELS)
def test_it_encodes_as_sentencepiece_does_in_many_scripts(shared_data: Path, tmp_path: Path, model: str) -> None:
    files = ["commonvoice.ar", "commonvoice.zh", "commonvoice.de", "eltec.ru", "wikipedia.en"]
    lines = [
        line for name in files for line in islice(read_documents(shared_data / "mono" / f"{name}.txt.xz", Drops()), 600)
    ]
    train_tokenizer(lines, settings_of(model, 4000), tmp_path)
    assert same_encoding(tmp_path, lines) >= SAME[model]


def same_encoding(folder: Path, lines: list[str]) -> float:
    """Share of lines that both sides encode alike; where they do not, both ways must have the same score."""
    processor = sentencepiece_of(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    same = 0
    for ours, theirs in zip(ids_of(tokenizer, lines), processor.encode(lines), strict=True):
        same += ours == theirs
        scores = [sum(processor.get_score(number) for number in ids) for ids in (ours, theirs)]
        assert scores[0] == pytest.approx(scores[1], rel=1e-5)
    return same / len(lines)


def test_the_folder_is_enough_without_prealign_and_beside_a_model(trained: dict[str, Path], tmp_path: Path) -> None:
    text = TEXTS[0] + TEXTS[1]
    expected = []
    for model, folder in trained.items():
        shutil.copytree(folder, tmp_path / model)
        expected += [ids_of(AutoTokenizer.from_pretrained(folder), [text])[0]] * 2
    program = (
        "import json, sys; sys.modules['prealign'] = None\n"
        "from transformers import AutoTokenizer, LlamaConfig\n"
        "text, *folders = sys.argv[1:]\n"
        "found = []\n"
        "for folder in folders:\n"
        "    found.append(AutoTokenizer.from_pretrained(folder)(text)['input_ids'])\n"
        "    LlamaConfig().save_pretrained(folder)\n"
        "    found.append(AutoTokenizer.from_pretrained(folder)(text)['input_ids'])\n"
        "print(json.dumps(found))\n"
    )
    command = [sys.executable, "-c", program, text, *(str(tmp_path / model) for model in trained)]
    answer = subprocess.run(command, capture_output=True, text=True, check=True)
    assert json.loads(answer.stdout) == expected


@pytest.mark.parametrize("model", MODELS)
def test_the_same_documents_give_the_same_files(documents: list[str], tmp_path: Path, model: str) -> None:
    for name in ("a", "b"):
        train_tokenizer(iter(documents[:100]), settings_of(model, 600), tmp_path / name)
    for name in ("tokenizer.json", "tokenizer_config.json", "sentencepiece.model"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


@pytest.mark.parametrize("model", MODELS)
def test_a_size_that_the_text_cannot_give_names_one_that_it_can(tmp_path: Path, model: str) -> None:
    text = ["a small text with hardly any words", "a text that is small"]
    with pytest.raises(PrealignError, match=r"vocab_size is 9,000, .* no more than \d+ pieces") as caught:
        train_tokenizer(text, settings_of(model, 9000), tmp_path)
    possible = int(str(caught.value).split(" or less")[0].split()[-1])
    train_tokenizer(text, settings_of(model, possible), tmp_path)
    assert len(AutoTokenizer.from_pretrained(tmp_path)) == possible
    with pytest.raises(PrealignError, match=r"characters of this text alone are (\d+) pieces"):
        train_tokenizer(text, settings_of(model, 300), tmp_path)


def test_no_text_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(PrealignError, match="no text to train a tokenizer on"):
        train_tokenizer(["", "\n"], settings_of("bpe"), tmp_path)


def test_long_documents_are_cut_and_nothing_of_them_is_lost() -> None:
    long = "Wörter " * 5000 + "字" * 5000 + "\nend\tof text"
    lines = list(training_lines([long, "short", "", "a\u2581b"]))
    assert max(len(line.encode()) for line in lines) <= MAX_LINE_BYTES
    assert "".join(lines) == long.replace("\n", "").replace("\t", "") + "short" + "a b"
    assert not any(line.startswith("rter") for line in lines)  # cut at spaces where there are any


def test_the_sample_is_even_over_languages_and_independent_of_order() -> None:
    english = [f"text {number}" for number in range(1000)]
    german = [f"Satz {number}" for number in range(30)]
    sample = list(sample_documents({"en": english, "de": german}, 200))
    assert [text for text in sample if text in german] == german
    chosen = set(sample) - set(german)
    assert len(chosen) == 100
    assert chosen == set(sample_documents({"en": english[::-1]}, 100))
    assert len({number // 100 for number in (int(text.split()[1]) for text in chosen)}) == 10
    assert list(sample_documents({"en": english}, 1000)) == english
