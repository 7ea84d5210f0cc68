"""What the stages can start from: encoders, and an existing model whose tokenizer is extended for a new language."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from transformers import AutoModelForCausalLM, AutoModelForMaskedLM, AutoTokenizer

from prealign.config.recipe import read_recipe
from prealign.errors import PrealignError
from prealign.model.build import _read_config
from prealign.stages import prepare
from prealign.stages.run import run
from prealign.tokenizer.extend import read_new_pieces

NOUNS, VERBS = (
    words.split()
    for words in (
        "house river garden teacher window mountain letter engine forest market village doctor bridge student",
        "sees builds remembers carries follows paints leaves finds opens watches crosses describes visits",
    )
)


def to_other(text: str) -> str:
    """A language with words of its own: every word spelt backwards, in Cyrillic where there is a letter for it."""
    letters = str.maketrans("abdefghijklmnoprstuvz", "абдефгхижклмнопрстувз")
    return " ".join(word[::-1] for word in text.rstrip(".").lower().split()).translate(letters) + "."


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Running text of two languages and a dictionary between them."""
    folder = tmp_path_factory.mktemp("data")
    sentences = [
        f"The {NOUNS[n % 14]} {VERBS[n * 5 % 13]} the {NOUNS[n // 14 % 14]} and the {NOUNS[n * 3 % 14]}."
        for n in range(900)
    ]
    documents = [" ".join(sentences[n : n + 3]) for n in range(0, 900, 3)]
    (folder / "en.txt").write_text("\n".join(documents) + "\n", encoding="utf-8")
    (folder / "ru.txt").write_text("\n".join(map(to_other, documents[::2])) + "\n", encoding="utf-8")
    pairs = [f"{word}\t{to_other(word)[:-1]}" for word in (*NOUNS, *VERBS)]
    (folder / "en-ru.tsv").write_text("\n".join(pairs) + "\n", encoding="utf-8")
    return folder


@pytest.fixture
def recipe(data: Path, tmp_path: Path) -> Callable[..., Path]:
    """Writes a small recipe; sections given by name are merged in."""

    def write(name: str, languages: dict[str, Any], **sections: Any) -> Path:
        content: dict[str, Any] = {
            "output": str(tmp_path / name),
            "data": str(data),
            "arms": ["joint"],
            "languages": languages,
            "tokenizer": {"vocab_size": 390},
            "store": {"validation_share": 0.05, "workers": 1},
            "model": {"overrides": {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}},
            "init": {"max_steps": 3, "words_per_step": 8, "lm_rows_per_step": 4},
            "pretrain": {"max_steps": 4, "block_size": 32, "global_batch_rows": 4},
            "engine": {"logging_steps": 2, "eval_tokens": 500},
        }
        path = tmp_path / f"{name}.yaml"
        path.write_text(yaml.safe_dump(content | sections), encoding="utf-8")
        return path

    return write


BOTH = {"en": {"text": ["en.txt"]}, "ru": {"text": ["ru.txt"]}}


def test_an_encoder_goes_the_whole_way(recipe: Callable[..., Path], tmp_path: Path) -> None:
    path = recipe(
        "encoder",
        BOTH,
        arms=["joint", "init_only"],
        dictionary={"pairs": [{"source": "en", "target": "ru", "path": "en-ru.tsv"}], "held_out_share": 0.2},
        model={"kind": "masked_lm", "overrides": {"hidden_size": 32, "num_hidden_layers": 2}},
    )
    assert run(read_recipe(path), []) == 0
    folder = tmp_path / "encoder"
    results = json.loads((folder / "eval" / "results.json").read_text())["arms"]
    for arm in ("joint", "init_only"):
        (part,) = results[arm]
        assert set(part["tasks"]["masked_lm_loss"]["scores"]) == {"en", "ru"}
        assert "bits_per_byte" not in part["tasks"]
        model = AutoModelForMaskedLM.from_pretrained(folder / "pretrain" / arm / "model")
        assert model.config.model_type == "xlm-roberta"
    card = (folder / "pretrain" / "joint" / "model" / "README.md").read_text()
    assert "AutoModelForMaskedLM" in card
    tokenizer = AutoTokenizer.from_pretrained(folder / "pretrain" / "joint" / "model")
    assert tokenizer.mask_token == "<mask>"
    assert tokenizer.mask_token_id == len(tokenizer) - 1
    assert model.config.vocab_size == len(tokenizer)
    rows = [json.loads(line) for line in (folder / "pretrain" / "joint" / "metrics.jsonl").read_text().splitlines()]
    trained = [row for row in rows if row["kind"] == "train"][-1]
    # 4 rows of 32 tokens in each of 4 steps, 15 % of them hidden: 77 on average, a standard deviation of 8.
    in_init = json.loads((folder / "init" / "control" / "manifest.json").read_text())["summary"]["lm_tokens"]
    assert 40 < trained["lm_tokens"] - in_init < 120
    assert "masked LM loss" in (folder / "report.html").read_text()


def test_an_encoder_is_guarded_by_its_loss(recipe: Callable[..., Path], tmp_path: Path) -> None:
    path = recipe(
        "guarded",
        {"en": {"text": ["en.txt"]}},
        model={"kind": "masked_lm", "overrides": {"hidden_size": 32, "num_hidden_layers": 1}},
        init={"max_steps": 8, "lm_rows_per_step": 4, "guard": {"en": 0.1}, "optimizer": {"learning_rate": 5}},
        engine={"eval_steps": 8, "eval_tokens": 500},
    )
    for command in ("tokenizer", "prepare"):
        run(read_recipe(path), [], only=command)
    with pytest.raises(PrealignError, match=r"(?s)stops at step 8.*masked lm loss at the start.*where 10.0% is"):
        run(read_recipe(path), [], only="init")


def test_a_name_on_the_hub_is_taken_where_there_is_no_such_folder(
    recipe: Callable[..., Path], tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = recipe("named", {"en": {"text": ["en.txt"]}})
    run(read_recipe(base), [], only="tokenizer")
    made, name = tmp_path / "named" / "tokenizer", "some-org/some-model"
    path = recipe("hub", {"en": {"text": ["en.txt"]}}, tokenizer={"path": name})
    asked: list[str] = []
    load = prepare.load_tokenizer
    monkeypatch.setattr(
        prepare, "load_tokenizer", lambda place: asked.append(place) or load(made if place == name else place)
    )
    run(read_recipe(path), [], only="tokenizer")
    assert asked[0] == name
    manifest = json.loads((tmp_path / "hub" / "tokenizer" / "manifest.json").read_text())
    assert manifest["inputs"] == {name: name}
    # A folder of that name goes first.
    folder = data / "some-org" / "some-model"
    folder.mkdir(parents=True)
    assert read_recipe(path).model_place(name) == str(folder)
    folder.rmdir()


def test_a_name_that_the_hub_does_not_give_is_a_sentence(
    recipe: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub

    def no_network(*_: Any, **__: Any) -> None:
        raise OSError("No route to host.")

    monkeypatch.setattr(huggingface_hub, "get_hf_file_metadata", no_network)
    path = recipe("lost", {"en": {"text": ["en.txt"]}}, tokenizer={"path": "some-org/lost-tokenizer"})
    with pytest.raises(PrealignError, match=r"some-org/lost-tokenizer is no folder, and .*: No route to host"):
        run(read_recipe(path), [], only="tokenizer")
    with pytest.raises(PrealignError, match="some-org/lost-model is no folder"):
        _read_config("some-org/lost-model")


def test_an_existing_model_gets_a_new_language(recipe: Callable[..., Path], tmp_path: Path) -> None:
    base = recipe("base", {"en": {"text": ["en.txt"]}}, init={"max_steps": 0})
    for command in ("tokenizer", "prepare", "init", "pretrain"):
        run(read_recipe(base), [], only=command)
    trained = tmp_path / "base" / "pretrain" / "joint" / "model"
    settings = json.loads((trained / "generation_config.json").read_text())
    (trained / "generation_config.json").write_text(json.dumps(settings | {"max_new_tokens": 17}))

    extended = recipe(
        "extended",
        BOTH,
        tokenizer={"path": str(trained), "extend_to": 440, "extend_for": ["ru"]},
        model={"checkpoint": str(trained)},
        init={"max_steps": 0},
    )
    for command in ("tokenizer", "prepare", "init"):
        run(read_recipe(extended), [], only=command)
    start = tmp_path / "extended" / "init" / "control" / "model"
    before, after = (AutoModelForCausalLM.from_pretrained(folder).eval() for folder in (trained, start))
    old, new = (AutoTokenizer.from_pretrained(folder) for folder in (trained, start))
    assert len(old) == 390
    assert len(new) == 440 == after.config.vocab_size
    text = "The teacher sees the river and the bridge."
    ids = new(text, return_tensors="pt")["input_ids"]
    assert torch.equal(ids, old(text, return_tensors="pt")["input_ids"])
    with torch.no_grad():
        assert torch.equal(after(ids).logits[..., :390], before(ids).logits)
    other = to_other(text)
    assert len(new(other)["input_ids"]) < 0.6 * len(old(other)["input_ids"])
    pieces = read_new_pieces(tmp_path / "extended" / "tokenizer")
    assert sorted(pieces) == list(range(390, 440))
    for embeddings in (lambda model: model.get_input_embeddings(), lambda model: model.get_output_embeddings()):
        rows = torch.stack([embeddings(before).weight[pieces[number]].mean(dim=0) for number in range(390, 440)])
        torch.testing.assert_close(embeddings(after).weight[390:], rows)
    assert after.generation_config.max_new_tokens == 17
    assert after.dtype == torch.float32


def test_a_mask_token_comes_before_the_pieces_of_an_extension(recipe: Callable[..., Path], tmp_path: Path) -> None:
    run(read_recipe(recipe("base", {"en": {"text": ["en.txt"]}})), [], only="tokenizer")
    extended = recipe(
        "extended",
        BOTH,
        tokenizer={"path": str(tmp_path / "base" / "tokenizer"), "extend_to": 440, "extend_for": ["ru"]},
        model={"kind": "masked_lm"},
    )
    run(read_recipe(extended), [], only="tokenizer")
    assert AutoTokenizer.from_pretrained(tmp_path / "extended" / "tokenizer").mask_token_id == 390
    assert sorted(read_new_pieces(tmp_path / "extended" / "tokenizer")) == list(range(391, 440))
