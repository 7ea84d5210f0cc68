"""Tasks of lm-evaluation-harness on a model of random weights and a task of four questions; nothing is fetched."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from prealign.config.lm_eval import LmEvalSettings
from prealign.errors import PrealignError
from prealign.evaluation.lm_eval_adapter import LmEvalTask, _outcome

TASK = """
task: toy_houses
dataset_path: json
dataset_kwargs:
  data_files: {{test: {data}}}
output_type: multiple_choice
test_split: test
doc_to_text: "{{{{question}}}}"
doc_to_choice: "{{{{choices}}}}"
doc_to_target: "{{{{answer}}}}"
metric_list:
  - {{metric: acc, aggregation: mean, higher_is_better: true}}
metadata: {{version: 2.0}}
"""
QUESTIONS = [
    {"question": "the house is", "choices": ["big", "small"], "answer": 0},
    {"question": "das Haus ist", "choices": ["alt", "neu"], "answer": 1},
    {"question": "дом", "choices": ["стар", "нов", "мал", "бел"], "answer": 2},
    {"question": "房子很", "choices": ["大", "小", "新", "老"], "answer": 0},
]

installed = pytest.mark.skipif(find_spec("lm_eval") is None, reason="lm-eval is not installed (extra `eval`)")


@pytest.fixture
def byte_tokenizer() -> PreTrainedTokenizerFast:
    """One id per byte and an end token."""
    vocabulary = {character: i for i, character in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    core = Tokenizer(models.BPE(vocab=vocabulary | {"</s>": len(vocabulary)}, merges=[]))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=core, eos_token="</s>")


@pytest.fixture
def tasks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with one task and its data."""
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    data = tmp_path / "houses.jsonl"
    data.write_text("".join(json.dumps(question) + "\n" for question in QUESTIONS))
    folder = tmp_path / "tasks"
    folder.mkdir()
    (folder / "houses.yaml").write_text(TASK.format(data=data))
    return folder


@pytest.fixture
def model(byte_tokenizer: PreTrainedTokenizerFast) -> LlamaForCausalLM:
    config = LlamaConfig(
        vocab_size=len(byte_tokenizer), hidden_size=16, intermediate_size=32, num_hidden_layers=1,
        num_attention_heads=2, max_position_embeddings=64,
    )  # fmt: skip
    torch.manual_seed(1)
    return LlamaForCausalLM(config).eval()


def most_probable(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, question: dict[str, Any]) -> int:
    """The choice with the largest sum of log-probabilities, computed plainly."""
    sums = []
    for choice in question["choices"]:
        context = tokenizer(question["question"], add_special_tokens=False).input_ids
        both = tokenizer(f"{question['question']} {choice}", add_special_tokens=False).input_ids
        with torch.no_grad():
            logs = model(torch.tensor([both])).logits[0].log_softmax(-1)
        sums.append(sum(float(logs[place - 1, both[place]]) for place in range(len(context), len(both))))
    return max(range(len(sums)), key=sums.__getitem__)


@installed
def test_accuracy_is_that_of_the_most_probable_choice(
    tasks: Path, model: LlamaForCausalLM, byte_tokenizer: PreTrainedTokenizerFast
) -> None:
    before = torch.get_rng_state()
    (task,) = LmEvalTask.all_of(LmEvalSettings(tasks=["toy_houses"]), byte_tokenizer, 2, tasks)
    outcome = task.run(model)
    assert task.name == "lm_eval toy_houses"
    (accuracy,) = outcome.measures
    right = [most_probable(model, byte_tokenizer, question) == question["answer"] for question in QUESTIONS]
    assert [item.score for item in outcome.items] == [float(hit) for hit in right]
    assert accuracy.value == pytest.approx(sum(right) / 4)
    assert accuracy.chance == pytest.approx((1 / 2 + 1 / 2 + 1 / 4 + 1 / 4) / 4)
    assert (accuracy.of, accuracy.name, accuracy.form, accuracy.headline) == ("toy_houses", "acc", "share", True)
    assert {item.test for item in outcome.items} == {accuracy.test}
    assert accuracy.signature.startswith("toy_houses|version:2.0|shots:0|n:4|data:")
    json.dumps(outcome.as_dict())
    json.dumps([dict(item.detail) for item in outcome.items])
    assert torch.equal(torch.get_rng_state(), before)


@installed
def test_limit_stands_in_the_signature(
    tasks: Path, model: LlamaForCausalLM, byte_tokenizer: PreTrainedTokenizerFast
) -> None:
    (task,) = LmEvalTask.all_of(LmEvalSettings(tasks=["toy_houses"], limit=2), byte_tokenizer, 2, tasks)
    outcome = task.run(model)
    assert len(outcome.items) == 2
    assert "|n:2|" in outcome.measures[0].signature


@installed
def test_data_that_cannot_be_read(
    tasks: Path, model: LlamaForCausalLM, byte_tokenizer: PreTrainedTokenizerFast
) -> None:
    (tasks.parent / "houses.jsonl").unlink()
    (task,) = LmEvalTask.all_of(LmEvalSettings(tasks=["toy_houses"]), byte_tokenizer, 2, tasks)
    with pytest.raises(PrealignError, match=r"lm_eval toy_houses could not be run: .*houses\.jsonl"):
        task.run(model)


def test_without_the_library(byte_tokenizer: PreTrainedTokenizerFast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("prealign.evaluation.lm_eval_adapter.find_spec", lambda name: None)
    with pytest.raises(PrealignError, match=r"needs lm-eval, .* pip install 'prealign\[eval\]'"):
        LmEvalTask.all_of(LmEvalSettings(tasks=["xnli_de"]), byte_tokenizer, 2)
    assert LmEvalTask.all_of(LmEvalSettings(), byte_tokenizer, 2) == []


def test_masked_models_are_refused(byte_tokenizer: PreTrainedTokenizerFast) -> None:
    with pytest.raises(PrealignError, match="asks causal models only"):
        LmEvalTask.all_of(LmEvalSettings(tasks=["xnli_de"]), byte_tokenizer, 2, masked=True)


def test_a_metric_that_is_no_mean_has_no_items() -> None:
    """Perplexity over words is the exponential of a mean; its pairs (loss, words) are no scores."""
    sample = {
        "doc_id": 0, "doc_hash": "a" * 64, "filter": "none", "target": "x", "filtered_resps": [-9.0],
        "arguments": [["x"]], "word_perplexity": (-9.0, 3), "exact_match": 1.0,
    }  # fmt: skip
    found = {
        "samples": {"wiki": [sample, sample | {"doc_id": 1, "exact_match": 0.0}]},
        "results": {"wiki": {"alias": "wiki", "word_perplexity,none": 20.1, "word_perplexity_stderr,none": "N/A",
                             "exact_match,none": 0.5, "exact_match_stderr,none": 0.5}},
        "versions": {"wiki": 2.0}, "n-shot": {"wiki": 0}, "n-samples": {},
        "higher_is_better": {"wiki": {"word_perplexity": False, "exact_match": True}},
    }  # fmt: skip
    outcome = _outcome("lm_eval wiki", found, "0.4.13")
    perplexity, match = outcome.measures
    assert (perplexity.value, perplexity.test, perplexity.better, perplexity.form) == (20.1, None, "lower", "number")
    assert (match.value, match.better, match.form, match.chance) == (0.5, "higher", "share", None)
    assert [(item.test, item.score) for item in outcome.items] == [("wiki exact_match", 1.0), ("wiki exact_match", 0.0)]


def test_a_text_without_choices_has_no_chance() -> None:
    """LAMBADA asks for one continuation and calls acc whether it is the most probable; here with two filters."""
    sample = {
        "doc_id": 0, "doc_hash": "a" * 64, "filter": "none", "target": "x", "filtered_resps": [[-9.0, True]],
        "arguments": [["text", " word"]], "acc": 1.0,
    }  # fmt: skip
    found = {
        "samples": {"lambada": [sample, sample | {"filter": "strict"}]},
        "results": {"lambada": {"acc,none": 1.0, "acc,strict": 1.0}},
        "versions": {"lambada": 1.0}, "n-shot": {"lambada": 0}, "n-samples": {}, "higher_is_better": {"lambada": {}},
    }  # fmt: skip
    measures = _outcome("lm_eval lambada", found, "0.4.13").measures
    assert [(measure.name, measure.chance) for measure in measures] == [("acc", None), ("acc (strict)", None)]
    assert "|n:1|" in measures[0].signature
