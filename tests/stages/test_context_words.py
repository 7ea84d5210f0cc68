"""Words in sentences: which links are taken, that the marks are on the right tokens, and the stages that use them."""

from __future__ import annotations

import shutil
from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from prealign import cli, ranks
from prealign.corpora.linked_pairs import read_linked_pairs
from prealign.corpora.pair_store import EncodedPair, PairStore, words_key, write_pairs
from prealign.corpora.words import fold
from prealign.dictionary.dictionary import Dictionary
from prealign.dictionary.entries import Entry
from prealign.dictionary.imports import read_entries
from prealign.errors import PrealignError
from prealign.objectives.word_alignment import WordAlignment
from prealign.objectives.word_states import word_batch, word_states
from prealign.stages.context_words import LINKS_PER_PAIR, ContextWords
from prealign.stages.word_groups import WordGroups
from prealign.tokenizer.load import load_tokenizer
from prealign.train.metrics import read_rows

LANGUAGES = ("en", "de")
EOS, PAD = 1, 0


class NumberTokenizer:
    """Stands for the tokenizer: only its size and its description are asked for."""

    eos_token_id = EOS

    class backend_tokenizer:  # noqa: N801
        @staticmethod
        def to_str() -> str:
            return "{}"

        @staticmethod
        def get_vocab(with_added_tokens: bool) -> dict[str, int]:
            return {"the last": 1999}

    def __len__(self) -> int:
        return 2000


def token(word: str) -> int:
    """Source word w7 is token 107, its translation v7 is 507; "the" is 99 and "die" is 499."""
    return {"the": 99, "die": 499}.get(word) or int(word[1:]) + (100 if word[0] == "w" else 500)


def pair_of(*numbers: int, doubled: int | None = None) -> EncodedPair:
    """`the w1 w2 ...` with its translation in the opposite order, all words linked; `doubled` takes two tokens."""
    source, links = [], []
    words = ["the", *(f"w{n}" for n in numbers)]
    for word in words:
        source += [token(word)] * (2 if word == f"w{doubled}" else 1)
    target = [token("die" if word == "the" else word.replace("w", "v")) for word in reversed(words)]
    keys = []
    place = 0
    for number, word in enumerate(words):
        size = 2 if word == f"w{doubled}" else 1
        links.append((place, place + size, len(words) - 1 - number, len(words) - number))
        keys.append(words_key(word.upper(), "die" if word == "the" else word.replace("w", "v"), LANGUAGES))
        place += size
    return EncodedPair(source, target, links, keys)


def trained(*words: str) -> tuple[Dictionary, WordGroups]:
    entries = [Entry(word, "die" if word == "the" else word.replace("w", "v"), 1, 1.0, 1.0) for word in words]
    dictionary = Dictionary(*LANGUAGES, entries)
    sources = list(dictionary.by_source())
    groups = [[[token(entry.source)], [token(entry.target)]] for entry in dictionary.entries]
    return dictionary, WordGroups(groups, np.ones(len(groups), dtype=np.int64), [("en", word) for word in sources])


def context(
    folder: Path, pairs: list[EncodedPair], words: list[str], per_batch: int = 4, block: int = 32
) -> tuple[ContextWords, WordGroups]:
    write_pairs(folder, {LANGUAGES: pairs}, NumberTokenizer())
    dictionary, groups = trained(*words)
    made = ContextWords(
        PairStore(folder), [dictionary], groups, per_batch=per_batch, block=block, eos_id=EOS, pad_id=PAD, seed=5
    )
    return made, groups


def words_of(batch: dict) -> list[tuple[int, ...]]:
    """The token ids of each word of a batch."""
    found: dict[int, list[int]] = {}
    for ids, words in zip(batch["input_ids"].tolist(), batch["words"].tolist(), strict=True):
        for number, word in zip(ids, words, strict=True):
            found.setdefault(word, []).append(number)
    found.pop(-1, None)
    assert sorted(found) == list(range(len(batch["groups"])))
    return [tuple(found[word]) for word in sorted(found)]


PAIRS = [pair_of(n % 20, (n + 7) % 20, (n + 11) % 20, doubled=(n + 7) % 20) for n in range(30)]
TRAINED = ["the", *(f"w{n}" for n in range(20) if n % 4)]
HELD_OUT = {token(f"{letter}{n}") for n in range(0, 20, 4) for letter in "wv"}


def test_marks_are_on_the_words_of_trained_entries_and_never_on_held_out_ones(tmp_path: Path) -> None:
    made, groups = context(tmp_path, PAIRS, TRAINED)
    seen, read = set(), set()
    for number in range(20):
        batch = made(number)
        for group, form, ids in zip(batch["groups"].tolist(), batch["forms"].tolist(), words_of(batch), strict=True):
            source, target = (word[0] for word in groups.ids[group])
            assert set(ids) in ({source}, {target})  # a word is marked whole and as itself
            assert len(ids) == 1 or ids == (source, source)
            assert not HELD_OUT & set(ids)
            assert form >= 0
            seen.add(group)
        read |= set(batch["input_ids"].flatten().tolist())
        both = Counter(batch["groups"].tolist())
        assert set(both.values()) == {2}  # the word and its translation, once a batch
        assert batch["n_words"] == len(batch["groups"])
    assert seen == set(range(len(groups)))
    assert read > HELD_OUT


def test_words_alone_and_in_sentences_have_the_same_forms(tmp_path: Path) -> None:
    made, groups = context(tmp_path, [pair_of(3)], ["w3"], per_batch=1)
    alone = word_batch(groups.ids, [0], PAD)
    batch = made(0)
    assert (batch["forms"].tolist(), batch["groups"].tolist()) == (alone["forms"].tolist(), alone["groups"].tolist())


def test_a_sentence_gives_no_more_than_its_share(tmp_path: Path) -> None:
    made, _ = context(tmp_path, [pair_of(*range(15))], [f"w{n}" for n in range(15)], per_batch=1)
    taken = [frozenset(made(number)["groups"].tolist()) for number in range(5)]
    assert {len(groups) for groups in taken} == {LINKS_PER_PAIR}
    assert len(set(taken)) == 5  # other words in every epoch


def test_of_two_links_to_a_word_one_is_taken(tmp_path: Path) -> None:
    pair = pair_of(1, 2)
    keys = [words_key("w1", "v1", LANGUAGES), words_key("w2", "v1", LANGUAGES)]
    write_pairs(
        tmp_path, {LANGUAGES: [pair._replace(links=[(1, 2, 1, 2), (2, 3, 1, 2)], words=keys)]}, NumberTokenizer()
    )
    dictionary = Dictionary(*LANGUAGES, [Entry("w1", "v1", 1, 1.0, 1.0), Entry("w2", "v1", 1, 1.0, 1.0)])
    groups = WordGroups([[[101], [501]], [[102], [501]]], np.ones(2, dtype=np.int64), [("en", "w1"), ("en", "w2")])
    made = ContextWords(PairStore(tmp_path), [dictionary], groups, per_batch=1, block=9, eos_id=1, pad_id=0, seed=1)
    found = [words_of(made(number)) for number in range(20)]
    assert all(len(words) == 2 for words in found)
    assert {words[0] for words in found} == {(101,), (102,)}


def test_long_sentences_and_those_without_trained_words_are_not_drawn(tmp_path: Path, caplog) -> None:
    pairs = [pair_of(1), pair_of(2, 3, 4, 5, 6, 7), pair_of(8), EncodedPair([101], [501], [], [])]
    with caplog.at_level("INFO", logger="prealign.stages.context_words"):
        made, _ = context(tmp_path, pairs, ["w1", "w2"], per_batch=1, block=7)
    assert "en-de: 1 of 4 sentence pairs, 2 of 11 links are trained entries" in caplog.text
    assert all(made(number)["examples"] == [(0, 0)] for number in range(5))
    with pytest.raises(PrealignError, match=r"no linked sentence pair is within pretrain.block_size"):
        context(tmp_path, pairs, ["w9"], per_batch=1)


def test_a_batch_without_words_of_this_rank_has_a_loss_of_zero(tmp_path: Path, monkeypatch) -> None:
    made, _ = context(tmp_path, [pair_of(1)] * 2, ["w1"], per_batch=2)
    monkeypatch.setattr(ranks, "world_size", lambda: 2)
    parts = []
    for rank in range(2):
        monkeypatch.setattr(ranks, "rank", lambda rank=rank: rank)
        parts.append(made(0))
    monkeypatch.undo()
    empty = min(parts, key=lambda part: part["n_words"])
    assert sorted(part["n_words"] for part in parts) == [0, 2]
    objective = WordAlignment(layers="blocks", collapse_weight=0.1)
    assert objective.count(empty) == 0
    loss = objective.loss_sum(model(), empty)
    loss.backward()
    assert loss.item() == 0


def test_ranks_share_a_batch_and_no_group_is_on_two(tmp_path: Path, monkeypatch) -> None:
    made, _ = context(tmp_path, PAIRS, TRAINED, per_batch=9)
    whole = made(2)
    monkeypatch.setattr(ranks, "world_size", lambda: 3)
    parts = []
    for rank in range(3):
        monkeypatch.setattr(ranks, "rank", lambda rank=rank: rank)
        parts.append(made(2))
    assert torch.cat([part["groups"] for part in parts]).tolist() == whole["groups"].tolist()
    assert [word for part in parts for word in words_of(part)] == words_of(whole)
    monkeypatch.setattr(ranks, "world_size", lambda: 10)
    with pytest.raises(PrealignError, match="context_sentences_per_step is 9 for 10 ranks"):
        context(tmp_path, PAIRS, TRAINED, per_batch=9)


def model() -> LlamaForCausalLM:
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24}
    with torch.random.fork_rng():
        torch.manual_seed(6)
        return LlamaForCausalLM(LlamaConfig(**sizes, vocab_size=700)).eval()


def test_a_word_has_the_state_that_its_sentence_alone_gives_it(tmp_path: Path) -> None:
    made, _ = context(tmp_path, PAIRS, TRAINED, per_batch=6)
    batch, llama = made(1), model()
    found = word_states(llama, batch, layers="blocks", pooling="last")
    assert len(found) == 2
    places = {}  # where each sequence begins, by its row and position
    for row, (ids, positions) in enumerate(zip(batch["input_ids"], batch["position_ids"], strict=True)):
        begins = [*(place for place in range(len(ids)) if positions[place] == 0), len(ids)]
        for begin, end in pairwise(begins):
            states = llama.model(ids[None, begin:end], output_hidden_states=True).hidden_states[1:]
            for place in range(begin, end):
                if (word := int(batch["words"][row, place])) >= 0:
                    assert int(ids[begin]) == EOS
                    places[word] = torch.stack([layer[0, place - begin] for layer in states])  # the last token stays
    expected = torch.stack([places[word] for word in range(len(places))], dim=1)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_the_real_commands_align_words_in_sentences(finished_run, toy, tmp_path: Path, capsys) -> None:
    folder = tmp_path / "run"
    for stage in ("tokenizer", "store"):
        shutil.copytree(finished_run[0] / stage, folder / stage)
    recipe = str(toy(folder))
    flags = ["--dictionary.keep-links", "60", "--init.context-sentences-per-step", "5"]
    assert cli.run(["build-dict", recipe, *flags]) == 0
    assert cli.run(["init", recipe, "--arms", "during", *flags, "--init.alignment-weight", "0"]) == 2
    assert "prealign prepare RECIPE" in capsys.readouterr().err
    assert cli.run(["prepare", recipe, *flags]) == 0
    check_marks(folder)
    assert cli.run(["init", recipe, "--arms", "init_only", *flags]) == 0
    assert cli.run(["init", recipe, "--arms", "during", *flags]) == 0
    assert cli.run(["pretrain", recipe, "--arms", "during", *flags]) == 0
    stages = "init/aligned", "init/control", "pretrain/during"
    found = {stage: losses(folder / stage) for stage in stages}
    card = (folder / "init/aligned/model/README.md").read_text()
    without_words_alone = ["--fresh", "init", "--init.alignment-weight", "0"]
    assert cli.run(["init", recipe, "--arms", "init_only", *flags, *without_words_alone]) == 0
    found["context only"] = losses(folder / "init" / "aligned")
    both = {"alignment", "context_alignment", "lm"}
    expected = [both, {"lm"}, both, {"context_alignment", "lm"}]
    assert dict(zip(found, map(set, found.values()), strict=True)) == dict(zip(found, expected, strict=True))
    assert "| sentence pairs aligned per step | 5 |" in card


def losses(stage: Path) -> dict[str, float]:
    rows = [row for row in read_rows(stage / "metrics.jsonl")[0] if row["kind"] == "train"]
    return {name: value for row in rows for name, value in row["loss"].items()}


def check_marks(folder: Path) -> None:
    """The tokens of each link in the store spell the words of the file."""
    tokenizer = load_tokenizer(folder / "tokenizer")
    (stream,) = PairStore(folder / "pairs").streams.values()
    links = 0
    for number, pair in enumerate(read_linked_pairs(folder / "dictionary" / "en--en-x-clone" / "links.tsv")):
        sentences = stream.sentences(number)
        for a, b, c, d in stream.links[stream.link_starts[number] : stream.link_starts[number + 1]].tolist():
            words = [tokenizer.decode(ids[x:y]).strip() for ids, x, y in zip(sentences, (a, c), (b, d), strict=True)]
            assert words[0] in [pair.source[x:y] for x, y in pair.source_words]
            assert words[1] in [pair.target[x:y] for x, y in pair.target_words]
            links += 1
    assert number == 59
    assert links == len(stream.words) > 200


@pytest.mark.slow
def test_held_out_words_of_a_real_run_are_not_aligned(finished_run, toy, tmp_path: Path) -> None:
    """The links that a run may take, against the split that it writes."""
    from prealign.config.recipe import read_recipe
    from prealign.stages.build_dict import build_dictionaries
    from prealign.stages.context_words import context_words
    from prealign.stages.materials import Materials
    from prealign.stages.prepare import make_pairs

    folder = tmp_path / "run"
    for stage in ("tokenizer", "store"):
        shutil.copytree(finished_run[0] / stage, folder / stage)
    recipe = read_recipe(toy(folder), ["--dictionary.keep-links", "60", "--init.context-sentences-per-step", "20"])
    build_dictionaries(recipe)
    make_pairs(recipe)
    materials = Materials(recipe)
    made = context_words(materials)
    split = finished_run[0] / "init" / "aligned" / "split" / "en--en-x-clone"
    held_out = {fold(entry.source) for entry in read_entries(split / "held_out.tsv", "en", "en-x-clone")}
    words = {materials.tokenizer.decode(ids).strip().lower() for number in range(10) for ids in words_of(made(number))}
    sources = {word for word in words if word.isascii()}
    assert len(held_out) > 5
    assert len(sources) > 20
    assert not held_out & sources
