"""All measurements on one model: test sets are encoded once per run, for training and for the final evaluation.

    suite = Suite.of(tokenizer, store, dictionaries, settings, block_size=128)
    row |= suite.quick(model, max_tokens=20_000)           # now and then in training, for a row of metrics.jsonl
    arms["joint"] = evaluate_model(folder, suite)          # at the end, for results.json
    print(comparison_table(arms).text())

results.json is {"arms": {arm: what `evaluate_model` returns, with "lm_tokens": {"init": n, "pretrain": n} and
"seconds": {stage: s} added by who trained it}, "seeds": [...], "versions": {...}}.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prealign.config.evaluation import EvalSettings
from prealign.errors import PrealignError
from prealign.evaluation.bits_per_byte import bits_per_byte
from prealign.evaluation.sentence_retrieval import SentenceTest
from prealign.evaluation.word_retrieval import WordTest
from prealign.log import progress

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

    from prealign.corpora.store import TokenStore, TokenStream
    from prealign.dictionary.dictionary import Dictionary

log = logging.getLogger(__name__)

HELD_OUT, TRAINED = "held_out", "trained"


@dataclass(frozen=True, slots=True)
class Suite:
    """What every arm is measured on, encoded once."""

    validation: dict[str, TokenStream]
    """Validation documents by language."""
    words: dict[str, dict[str, WordTest]]
    """Language pair ("en--de") -> test ("held_out", "trained", or the name of a gold dictionary)."""
    sentences: dict[str, SentenceTest]
    """By name and language pair ("tatoeba en--de")."""
    block_size: int
    """Longest row in tokens."""
    batch_size: int
    """Rows per forward pass."""

    @classmethod
    def of(
        cls,
        tokenizer: PreTrainedTokenizerFast,
        store: TokenStore,
        dictionaries: Sequence[tuple[Dictionary, Dictionary]],
        settings: EvalSettings,
        *,
        block_size: int,
        gold: Sequence[tuple[str, Dictionary]] = (),
        sentences: Sequence[tuple[str, str, str, Sequence[tuple[str, str]]]] = (),
    ) -> Suite:
        """Encode the test sets of a run.

        Args:
            dictionaries: per language pair the trained and the held-out part (`Dictionary.split`).
            gold: outside dictionaries, each with its name for tables.
            sentences: sets of translated sentences: name, source language, target language, pairs.
        """
        named = [
            (kind, part)
            for trained, held_out in dictionaries
            for kind, part in ((HELD_OUT, held_out), (TRAINED, trained))
        ]
        named = [(kind, part) for kind, part in named if settings.word_retrieval and len(part)] + list(gold)
        words: dict[str, dict[str, WordTest]] = {}
        for name, dictionary in named:
            pair = f"{dictionary.source_language}--{dictionary.target_language}"
            test = WordTest.of(f"{pair} {name}", dictionary, tokenizer, settings.max_words)
            words.setdefault(pair, {})[name] = test
            log.info("word retrieval, %s", test)
        sentence_tests = {}
        for name, source, target, pairs in sentences:
            full_name = f"{name} {source}--{target}"
            sentence_tests[full_name] = SentenceTest.of(full_name, pairs, tokenizer, block_size)
        return cls(
            validation={code: store.stream(code, "validation") for code in store.languages},
            words=words,
            sentences=sentence_tests,
            block_size=block_size,
            batch_size=settings.batch_size,
        )

    def quick(self, model: PreTrainedModel, max_tokens: int) -> dict[str, Any]:
        """Part of a row of metrics.jsonl: bits per byte on a fixed sample of documents, P@1 of words per layer.

        Returns:
            {"bits_per_byte": {language: value},
             "word_retrieval": {pair: {test: [P@1 per layer, mean of both directions]}}}
        """
        return {
            "bits_per_byte": {
                code: bits_per_byte(
                    model, stream, block_size=self.block_size, batch_size=self.batch_size, max_tokens=max_tokens
                ).value
                for code, stream in self.validation.items()
            },
            "word_retrieval": {
                pair: {name: test.measure(model, self.batch_size).p_at_1 for name, test in tests.items()}
                for pair, tests in self.words.items()
            },
        }


def evaluate_model(model: PreTrainedModel | Path, suite: Suite) -> dict[str, Any]:
    """Measure one model on everything.

    Args:
        model: a loaded causal LM, or its Hugging Face folder, which is then loaded by `load_model`.
    Returns:
        {"bits_per_byte": {language: ...}, "word_retrieval": {pair: {test: ...}}, "sentence_retrieval": {name: ...}},
        the parts as `BitsPerByte.as_dict`, `WordRetrieval.as_dict` and `SentenceRetrieval.as_dict` give them.
    """
    loaded = load_model(model) if isinstance(model, Path) else model
    bits = {}
    for code, stream in progress(suite.validation.items(), "bits per byte", total=len(suite.validation)):
        bits[code] = bits_per_byte(loaded, stream, block_size=suite.block_size, batch_size=suite.batch_size).as_dict()
    return {
        "bits_per_byte": bits,
        "word_retrieval": {
            pair: {kind: test.measure(loaded, suite.batch_size).as_dict() for kind, test in tests.items()}
            for pair, tests in suite.words.items()
        },
        "sentence_retrieval": {
            sentences: test.measure(loaded, suite.batch_size).as_dict() for sentences, test in suite.sentences.items()
        },
    }


def load_model(folder: Path) -> PreTrainedModel:
    """A causal LM from its Hugging Face folder, in float32, on the first GPU or the CPU."""
    import torch
    from transformers import AutoModelForCausalLM

    try:
        model = AutoModelForCausalLM.from_pretrained(
            folder, dtype=torch.float32, trust_remote_code=False, use_safetensors=True, local_files_only=True
        )
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise PrealignError(f"No causal language model could be read from {folder}: {reason}") from None
    return model.to("cuda" if torch.cuda.is_available() else "cpu").eval()
