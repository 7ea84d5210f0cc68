"""Compiling: what is kept and dropped, how candidates are drawn, saving and loading."""

from __future__ import annotations

import logging
import pickle
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from prealign import draws
from prealign.codeswitch.arrays import BLOCKED, SIZE_BITS
from prealign.codeswitch.compile import _pool
from prealign.codeswitch.encode import BARE_CONTEXTS, SPACED_CONTEXTS, Encoded, Encoder
from prealign.codeswitch.report import CompileReport
from prealign.codeswitch.self_test import check
from prealign.codeswitch.switch import switch_rows
from prealign.codeswitch.table import CodeSwitchTable
from prealign.codeswitch.vocabulary import read_vocabulary
from prealign.dictionary.dictionary import Dictionary
from prealign.errors import PrealignError


def dictionary(language: str, *pairs: tuple[str, str]) -> Dictionary:
    return Dictionary.from_pairs(pairs, "en", language)


def switched_text(table: CodeSwitchTable, tokenizer: Any, text: str, **options: Any) -> str:
    ids = np.array(tokenizer(text, add_special_tokens=False)["input_ids"])
    done = switch_rows(table, [ids], keys=np.zeros(1, dtype=np.uint64), ratio=1.0, **options)
    return str(tokenizer.decode(done.input_ids[0]))


def shares(table: CodeSwitchTable, tokenizer: Any, word: str, number: int, **options: Any) -> dict[str, float]:
    """How often each translation of a word is drawn."""
    ids = np.array(tokenizer(" " + word, add_special_tokens=False)["input_ids"])
    done = switch_rows(table, [ids] * number, keys=draws.bits(5, number), ratio=1.0, **options)
    texts = [tokenizer.decode(row[:size]).strip() for row, size in zip(done.input_ids, done.lengths)]
    return {text: texts.count(text) / number for text in sorted(set(texts))}


def test_report(zoo: dict[str, Any]) -> None:
    entries = [
        ("house", "Haus"), ("dog", "dog"), ("Dog", "dog"), ("v2", "zwei"), ("...", "Punkte"), ("cat", ""),
        ("river", "Fluss " * 30), ("water", "Wasser"),
    ]  # fmt: skip
    table = CodeSwitchTable.compile([dictionary("de", *entries)], zoo["byte-level"])
    assert table.report.drops.counts == {
        "target equals source": 2,
        "source has digits or code characters": 1,
        "source has no letter": 1,
        "target is empty": 1,
        "translation is too long": 1,
    }
    assert table.report.translations == {"de": 2}
    assert table.report.sources == 2
    assert table.report.match_rate == 1.0
    assert "2 entries kept (2 de) for 2 source words" in str(table.report)


def test_exact_spelling_goes_before_folded(zoo: dict[str, Any]) -> None:
    tokenizer = zoo["byte-level"]
    table = CodeSwitchTable.compile([dictionary("de", ("Polish", "Polnisch"), ("polish", "polieren"))], tokenizer)
    assert switched_text(table, tokenizer, "a Polish polish") == "a Polnisch polieren"
    assert set(shares(table, tokenizer, "POLISH", 50)) == {"POLNISCH", "POLIEREN"}


def test_longest_entry_wins(zoo: dict[str, Any]) -> None:
    tokenizer = zoo["unigram"]
    entries = [("new", "neu"), ("New York", "Neu-York"), ("York", "Jork"), ("New York city", "Stadt")]
    table = CodeSwitchTable.compile([dictionary("de", *entries)], tokenizer)
    text = "In New York, a new York and NEW YORK CITY."
    assert switched_text(table, tokenizer, text) == "In Neu-York, a neu Jork and STADT."


def test_folded_and_decomposed_text_is_matched(zoo: dict[str, Any]) -> None:
    tokenizer = zoo["byte-level"]
    table = CodeSwitchTable.compile(
        [Dictionary.from_pairs([("straße", "road"), ("café", "bar")], "de", "en")], tokenizer
    )
    assert switched_text(table, tokenizer, "STRASSE Straße strasse Cafe\u0301 café") == "ROAD Road road Bar bar"


def test_turkish_i(zoo: dict[str, Any]) -> None:
    tokenizer = zoo["byte-level"]
    table = CodeSwitchTable.compile(
        [Dictionary.from_pairs([("ilk", "first"), ("ışık", "light")], "tr", "en")], tokenizer
    )
    assert switched_text(table, tokenizer, "İlk IŞIK ilk Işık İLK ILK") == "First LIGHT first Light FIRST ILK"


def test_saved_and_loaded(
    zoo: dict[str, Any], tables: dict[str, CodeSwitchTable], texts: list[str], tmp_path: Path
) -> None:
    table = tables["byte-level"]
    table.save(tmp_path / "table")
    loaded = CodeSwitchTable.load(tmp_path / "table")
    assert loaded.fingerprint == table.fingerprint
    assert loaded.target_languages == table.target_languages
    assert str(loaded.report.drops) == str(table.report.drops)
    assert loaded.report.match_rate == table.report.match_rate
    assert all((a == b).all() for a, b in zip(table.arrays, loaded.arrays))
    assert switched_text(loaded, zoo["byte-level"], texts[0]) == switched_text(table, zoo["byte-level"], texts[0])


def test_same_input_same_fingerprint(zoo: dict[str, Any]) -> None:
    first, second = (CodeSwitchTable.compile([dictionary("de", ("dog", "Hund"))], zoo["unigram"]) for _ in range(2))
    other = CodeSwitchTable.compile([dictionary("de", ("dog", "Köter"))], zoo["unigram"])
    assert first.fingerprint == second.fingerprint != other.fingerprint


def test_mistakes_are_told(zoo: dict[str, Any], tables: dict[str, CodeSwitchTable], tmp_path: Path) -> None:
    tokenizer, german = zoo["byte-level"], dictionary("de", ("dog", "Hund"))
    with pytest.raises(PrealignError, match="at least one dictionary"):
        CodeSwitchTable.compile([], tokenizer)
    with pytest.raises(PrealignError, match=r"translate from en and fr.*one table for each source language"):
        CodeSwitchTable.compile([german, Dictionary.from_pairs([("chien", "dog")], "fr", "en")], tokenizer)
    with pytest.raises(PrealignError, match="weights name fr, but the dictionaries translate to de"):
        CodeSwitchTable.compile([german], tokenizer, weights={"fr": 1.0})
    with pytest.raises(PrealignError, match="at least one above 0"):
        CodeSwitchTable.compile([german], tokenizer, weights={"de": 0.0})
    with pytest.raises(PrealignError, match="No dictionary entry can be used"):
        CodeSwitchTable.compile([dictionary("de", ("dog", "dog"))], tokenizer)
    with pytest.raises(PrealignError, match="not a fast one"):
        CodeSwitchTable.compile([german], object())  # type: ignore[arg-type]
    with pytest.raises(PrealignError, match="compiled for another tokenizer"):
        tables["unigram"].check_tokenizer(tokenizer)
    with pytest.raises(PrealignError, match=r"table\.json does not exist"):
        CodeSwitchTable.load(tmp_path)


def test_a_tokenizer_that_glues_is_named(zoo: dict[str, Any], caplog: pytest.LogCaptureFixture) -> None:
    report = CompileReport(tokenizer="gluey", self_test={"{} is": (80, 100)})
    with caplog.at_level(logging.WARNING):
        check(report)
    assert "gluey" in caplog.text
    assert re.search(r"80\.0%", caplog.text)
    with pytest.raises(PrealignError, match=r"Only 40\.0%.*gluey"):
        check(CompileReport(tokenizer="gluey", self_test={"{} is": (40, 100)}))


def test_compiling_much_is_announced(
    zoo: dict[str, Any], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("prealign.codeswitch.table.MANY_ENTRIES", 2)
    with caplog.at_level(logging.INFO):
        CodeSwitchTable.compile([dictionary("de", ("dog", "Hund"))], zoo["unigram"])
        assert "Compiling" not in caplog.text
        CodeSwitchTable.compile([dictionary("de", ("dog", "Hund"), ("cat", "Katze"))], zoo["unigram"])
    assert "Compiling a switching table of 2 entries" in caplog.text


@pytest.mark.parametrize("name", ["byte-level", "metaspace-bpe", "unigram", "clone"])
def test_blocked_keys_give_way_to_entries(zoo: dict[str, Any], name: str) -> None:
    """`can't` ends in a blocked code, in every place it is met; as an entry of its own it has a real one."""
    words = [("can", "kann")]
    blocked = CodeSwitchTable.compile([dictionary("de", *words)], zoo[name])
    assert (blocked.arrays.codes == BLOCKED).sum() > 0
    assert switched_text(blocked, zoo[name], "I can, I can't; (can't) can") == "I kann, I can't; (can't) kann"
    entry = CodeSwitchTable.compile([dictionary("de", *words, ("can't", "kann nicht"))], zoo[name])
    assert switched_text(entry, zoo[name], "I can, I can't") == "I kann, I kann nicht"


@pytest.mark.parametrize("name", ["byte-level", "metaspace-bpe", "unigram", "wordpiece"])
def test_words_of_a_line_are_cut_like_words_alone(zoo: dict[str, Any], texts: list[str], name: str) -> None:
    """Many words in one line, neighbours sharing the mark between them, against one line for each."""
    encoder = Encoder(zoo[name], read_vocabulary(zoo[name]))
    words = sorted({word for text in texts for word in re.findall(r"\w+", text)} | {"New York", "cafe\u0301", "naïve"})
    for context in (SPACED_CONTEXTS[0], BARE_CONTEXTS[0]):
        assert context.is_shared
        together = encoder.in_context(words, context)
        assert (together.lengths > 0).mean() > 0.8
        assert [together.of(place) for place in range(len(words))] == [
            encoder.in_context([word], context).of(0) for word in words
        ]


def test_a_bare_translation_inside_the_spaced_one_is_kept_once() -> None:
    def encoded(*words: list[int]) -> Encoded:
        stops = np.cumsum([len(word) for word in words])
        return Encoded(np.concatenate(words, dtype=np.int32), np.array([0, *stops[:-1]]), stops)

    bare = encoded([7, 8], [5], [1, 2, 3])
    spaced = encoded([9, 7, 8], [6], [3])
    text = np.array([2, 0, 1, 0])
    pieces, spans = _pool([bare, spaced], text)
    assert len(pieces) == 5 + 4
    for row, word in enumerate(text):
        for span, sequences in zip(spans[row].tolist(), (bare, spaced)):
            start, size = span >> SIZE_BITS, span & (1 << SIZE_BITS) - 1
            assert tuple(pieces[start : start + size]) == sequences.of(word)


def test_scripts_without_case_share_the_candidates_of_all_forms(zoo: dict[str, Any]) -> None:
    caseless = CodeSwitchTable.compile([dictionary("zh", ("dog", "狗"))], zoo["unigram"])
    cased = CodeSwitchTable.compile([dictionary("de", ("dog", "hund"))], zoo["unigram"])
    assert (len(caseless.arrays.candidates), len(cased.arrays.candidates)) == (1, 3)
    assert switched_text(caseless, zoo["unigram"], "dog, Dog, DOG").count("狗") == 3


def test_a_worker_maps_the_saved_table(tables: dict[str, CodeSwitchTable], tmp_path: Path) -> None:
    """A loaded table travels as the path of its folder."""
    tables["unigram"].save(tmp_path / "table")
    sent = pickle.dumps(CodeSwitchTable.load(tmp_path / "table"))
    assert len(sent) < 1000
    assert pickle.loads(sent).fingerprint == tables["unigram"].fingerprint
    whole = pickle.loads(pickle.dumps(tables["unigram"]))
    assert all((a == b).all() for a, b in zip(whole.arrays, tables["unigram"].arrays))


def test_a_damaged_table_is_refused(tables: dict[str, CodeSwitchTable], tmp_path: Path) -> None:
    folder = tmp_path / "table"
    for damage in (
        lambda: np.save(folder / "codes.npy", np.zeros(3)),
        lambda: (folder / "pieces.npy").unlink(),
        lambda: (folder / "table.json").write_text('{"format": 3}'),
    ):
        tables["unigram"].save(folder)
        damage()
        with pytest.raises(PrealignError, match=r"table is not whole: .* Compile it again"):
            CodeSwitchTable.load(folder)


def test_words_that_the_tokenizer_cannot_write_are_told(zoo: dict[str, Any], caplog: pytest.LogCaptureFixture) -> None:
    known, unknown = [("dog", "Hund"), ("house", "Haus")], [(f"ᚠᚢ{chr(0x16A0 + n)}", "Baum") for n in range(30)]
    with pytest.raises(PrealignError, match=r"can write only 6\.2% of the dictionary's source words"):
        CodeSwitchTable.compile([Dictionary.from_pairs(known + unknown, "en", "de")], zoo["wordpiece"])
    with caplog.at_level(logging.WARNING):
        table = CodeSwitchTable.compile([Dictionary.from_pairs(known + unknown[:1], "en", "de")], zoo["wordpiece"])
    assert "lets only part of the words be matched" in caplog.text
    assert table.report.translations == {"de": 2}
    assert (table.report.sources, table.report.unwritable) == (2, 1)


def test_tokens_that_mark_no_word_border_are_refused() -> None:
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    trainer = trainers.BpeTrainer(vocab_size=200, special_tokens=["<unk>", "<pad>"], show_progress=False)
    tokenizer.train_from_iterator(["the theology of the other"], trainer)
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>", pad_token="<pad>")
    with pytest.raises(PrealignError, match="marks neither spaces nor the continuation of words"):
        CodeSwitchTable.compile([Dictionary.from_pairs([("the", "der")], "en", "de")], fast)
