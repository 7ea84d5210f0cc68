"""Switched rows as people see them: text, tokens with their labels, and counts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from prealign import draws
from prealign.codeswitch.preview import Preview, Sample, preview
from prealign.codeswitch.switch import switch_rows
from prealign.codeswitch.table import CodeSwitchTable
from prealign.codeswitch.token_text import TokenText
from prealign.errors import PrealignError

TEXT = "The house stands near the river, and a dog drinks water."


def encoded(tokenizer: Any, *texts: str) -> list[NDArray[np.int32]]:
    return [np.array(tokenizer(text, add_special_tokens=False)["input_ids"], dtype=np.int32) for text in texts]


def shown(table: CodeSwitchTable, tokenizer: Any, *texts: str, **options: Any) -> Preview:
    rows = encoded(tokenizer, *texts)
    return preview(table, tokenizer, rows, **{"texts": texts, "keys": draws.bits(7, len(rows)), "ratio": 1.0} | options)


def marked(sample: Sample) -> str:
    return "".join(
        s.text if s.language is None else f"[{s.original}>{s.text}]" for s in sample.segments
    ).strip()  # fmt: skip


@pytest.fixture
def german(zoo: dict[str, Any], dictionaries: dict[str, Any]) -> dict[str, CodeSwitchTable]:
    """English to German for some of the tokenizers."""
    return {
        name: CodeSwitchTable.compile([dictionaries["de"]], zoo[name])
        for name in ("byte-level", "unigram", "wordpiece")
    }


@pytest.mark.parametrize("name", ["byte-level", "unigram"])
def test_a_sample_is_the_text_with_its_switched_words_marked(name: str, zoo: Any, german: Any) -> None:
    found = shown(german[name], zoo[name], TEXT, candidates="best")
    assert marked(found.samples[0]) == (
        "The[ house> Gebäude] stands near the[ river> Fluss], and a[ dog> Hund] drinks[ water> Wasser]."
    )


def test_a_tokenizer_that_writes_no_spaces_gets_them_between_words(zoo: Any, german: Any) -> None:
    sample = shown(german["wordpiece"], zoo["wordpiece"], TEXT, candidates="best").samples[0]
    assert marked(sample).startswith("The[ house> Haus] stands near the[ river> Fluss]")


def test_tokens_show_what_is_read_and_what_is_predicted(zoo: Any, german: Any) -> None:
    tokenizer = zoo["byte-level"]
    rows = {
        labels: shown(german["byte-level"], tokenizer, "a dog is", labels=labels).samples[0].tokens[0]
        for labels in ("input_only", "both", "none")
    }
    pieces = [token.piece for token in rows["input_only"]]
    first, *rest = [place for place, token in enumerate(rows["input_only"]) if token.language == "de"]
    assert "".join(pieces) == "a▁Hund▁is"
    assert rest, "the case needs a translation of several tokens"
    original = tokenizer.convert_ids_to_tokens(encoded(tokenizer, "a dog is")[0].tolist())[1].replace("Ġ", "▁")
    assert rows["input_only"][first].label == original
    assert [rows["input_only"][place].label for place in rest] == [None] * len(rest)
    assert [token.label for token in rows["both"]] == pieces
    assert [rows["none"][place].label for place in (first, *rest)] == [None] * (1 + len(rest))
    ids = switch_rows(german["byte-level"], encoded(tokenizer, "a dog is"), keys=draws.bits(7, 1), ratio=1.0).input_ids
    assert [token.id for token in rows["input_only"]] == ids[0].tolist()


def test_tokens_far_from_any_translation_are_left_out(zoo: Any, german: Any) -> None:
    text = "a dog is here " + "and there " * 20 + "near a cat"
    first, second = shown(german["byte-level"], zoo["byte-level"], text).samples[0].tokens
    assert first[0].piece == "a"
    assert "".join(token.piece for token in second if token.language) == "▁Katze"
    assert max(len(first), len(second)) < 12


def test_rates_by_language_add_up_and_follow_the_ratio(zoo: Any, tables: dict[str, CodeSwitchTable]) -> None:
    found = shown(tables["unigram"], zoo["unigram"], *[TEXT] * 400, ratio=0.3)
    assert found.n_eligible == pytest.approx(400 * 6, rel=0.02)  # house, river, dog, water and two times "the"
    assert found.asked == pytest.approx(0.3)
    assert sum(rate.asked for rate in found.by_language.values()) == pytest.approx(0.3)
    assert sum(rate.count for rate in found.by_language.values()) == found.n_switched
    for rate in found.by_language.values():
        assert rate.got == pytest.approx(rate.asked, abs=0.04)  # 4 standard errors of 2,400 draws
    halved = shown(tables["unigram"], zoo["unigram"], *[TEXT] * 400, ratio=0.3, document_share=0.5)
    assert halved.asked == pytest.approx(0.15)


def test_ratios_per_language_are_asked_where_a_word_has_that_language(zoo: Any, dictionaries: Any) -> None:
    table = CodeSwitchTable.compile([dictionaries["de"], dictionaries["ar"]], zoo["unigram"])
    found = shown(table, zoo["unigram"], *["a cat and a dog"] * 50, ratio={"de": 0.5, "ar": 0.2})
    assert found.by_language["de"].asked == pytest.approx(0.5)
    assert found.by_language["ar"].asked == pytest.approx(0.1)  # only the dog has an Arabic entry


def test_the_most_switched_words_with_the_shares_of_their_translations(zoo: Any, german: Any) -> None:
    found = shown(german["unigram"], zoo["unigram"], *["The river."] * 6, "River!", "a dog", "a dog", top=2)
    river, dog = found.top_switched
    assert (river.word, river.count) == ("river", 7)
    assert {text for text, _, _ in river.translations} == {"Fluss", "Strom"}
    assert sum(share for _, _, share in river.translations) == pytest.approx(1.0)
    assert (dog.word, dog.count, dog.translations) == ("dog", 2, [("Hund", "de", 1.0)])


def test_rows_are_cut_as_in_training_and_the_loss_is_counted(zoo: Any, german: Any) -> None:
    row = encoded(zoo["byte-level"], "a cat and " * 8)[0]
    options = {"texts": [], "keys": draws.bits(7, 1), "ratio": 1.0}
    length = len(row)
    found = preview(german["byte-level"], zoo["byte-level"], [row], length=length, **options)
    done = switch_rows(german["byte-level"], [row], keys=draws.bits(7, 1), ratio=1.0, length=length)
    lost = length - int(done.used[0])
    assert lost > 0
    assert found.cut_share == pytest.approx(lost / length)
    assert found.n_tokens == length - lost
    assert found.length_change == pytest.approx(int(done.lengths[0]) / int(done.used[0]))


def test_samples_are_the_first_rows_with_a_switched_word(zoo: Any, german: Any) -> None:
    found = shown(german["unigram"], zoo["unigram"], "nothing here", "a dog", "nor here", "a cat", "a book", samples=2)
    assert [sample.row for sample in found.samples] == [1, 3]
    assert found.n_rows == 5


def test_special_tokens_are_named_and_separate_documents(zoo: Any) -> None:
    tokenizer = zoo["unigram"]
    end = tokenizer.eos_token_id
    one, two, three = (row.tolist() for row in encoded(tokenizer, "the old man", "a dog", "near the water"))
    reader = TokenText(tokenizer)
    assert reader.text([*two, end]).strip() == "a dog </s>"
    assert list(reader.documents([*one, end, *two, end, *three])) == ["old man", "a dog", "near the"]


def test_a_part_of_a_character_is_shown_as_bytes(zoo: Any) -> None:
    tokenizer = zoo["byte-level"]
    reader = TokenText(tokenizer)
    ids = encoded(tokenizer, "😀")[0].tolist()
    assert reader.text(ids) == "😀"
    assert reader.piece(tokenizer.convert_tokens_to_ids("ð")) == "<F0>"


def test_mistakes_are_told(zoo: Any, german: Any) -> None:
    with pytest.raises(PrealignError, match=r"No word of the text .* from en; its most frequent words: дом"):
        shown(german["byte-level"], zoo["byte-level"], "Дом, дом")
    with pytest.raises(PrealignError, match="samples must be at least 1, got 0"):
        shown(german["byte-level"], zoo["byte-level"], TEXT, samples=0)
