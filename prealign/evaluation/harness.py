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

from prealign.config.evaluation import OWN_TESTS, EvalSettings
from prealign.errors import PrealignError
from prealign.evaluation.bits_per_byte import bits_per_byte
from prealign.evaluation.masked_lm_loss import masked_lm_loss
from prealign.evaluation.sentence_retrieval import SentenceTest
from prealign.evaluation.word_retrieval import WordTest
from prealign.log import progress

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

    from prealign.corpora.store import TokenStore, TokenStream
    from prealign.dictionary.dictionary import Dictionary
    from prealign.objectives.masked_lm import Masking

log = logging.getLogger(__name__)

HELD_OUT, TRAINED = OWN_TESTS


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
    masking: Masking | None = None
    """What is hidden from masked LMs; None: the models are causal."""

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
        masking: Masking | None = None,
    ) -> Suite:
        """Encode the test sets of a run.

        Args:
            dictionaries: per language pair the trained and the held-out part (`Dictionary.split`).
            gold: outside dictionaries, each with its name for tables.
            sentences: sets of translated sentences: name, source language, target language, pairs.
            masking: what is hidden, where the models are masked LMs.
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
            masking=masking,
        )

    def quick(self, model: PreTrainedModel, max_tokens: int) -> dict[str, Any]:
        """Part of a row of metrics.jsonl: bits per byte on a fixed sample of documents, P@1 of words per layer.

        Returns:
            {"bits_per_byte": {language: value}, or of masked LMs "masked_lm_loss",
             "word_retrieval": {pair: {test: [P@1 per layer, mean of both directions]}},
             "word_cosine": {pair: {test: [mean cosine between all words, per layer]}}}
        """
        measured = {
            pair: {name: test.measure(model, self.batch_size) for name, test in tests.items()}
            for pair, tests in self.words.items()
        }
        return {
            self.text_measure: {
                code: self.on_text(model, stream, max_tokens)["value"] for code, stream in self.validation.items()
            },
            "word_retrieval": {
                pair: {name: found.p_at_1 for name, found in tests.items()} for pair, tests in measured.items()
            },
            "word_cosine": {
                pair: {name: found.cosine for name, found in tests.items()} for pair, tests in measured.items()
            },
        }

    @property
    def text_measure(self) -> str:
        """The name of what is measured on running text."""
        return "bits_per_byte" if self.masking is None else "masked_lm_loss"

    def on_text(self, model: PreTrainedModel, stream: TokenStream, max_tokens: int | None = None) -> dict[str, Any]:
        """That measure on the documents of a stream, as its `as_dict` gives it."""
        sizes: dict[str, Any] = {
            "block_size": self.block_size,
            "batch_size": self.batch_size,
            "max_tokens": max_tokens,
        }
        if self.masking is None:
            return bits_per_byte(model, stream, **sizes).as_dict()
        return masked_lm_loss(model, stream, self.masking, **sizes).as_dict()

    def chance_of_held_out(self) -> dict[str, float]:
        """Per pair the P@1 of held-out words by chance, mean of both directions."""
        return {pair: tests[HELD_OUT].chance for pair, tests in self.words.items() if HELD_OUT in tests}


def evaluate_model(model: PreTrainedModel | Path, suite: Suite) -> dict[str, Any]:
    """Measure one model on everything.

    Args:
        model: a loaded model, or its Hugging Face folder, which is then loaded by `load_model`.
    Returns:
        {"bits_per_byte": {language: ...}, "word_retrieval": {pair: {test: ...}}, "sentence_retrieval": {name: ...}},
        for masked LMs "masked_lm_loss" in the place of the first; the parts as `BitsPerByte.as_dict`,
        `WordRetrieval.as_dict` and `SentenceRetrieval.as_dict` give them.
    """
    loaded = load_model(model) if isinstance(model, Path) else model
    on_text = {}
    for code, stream in progress(suite.validation.items(), "running text", total=len(suite.validation)):
        on_text[code] = suite.on_text(loaded, stream)
    return {
        suite.text_measure: on_text,
        "word_retrieval": {
            pair: {kind: test.measure(loaded, suite.batch_size).as_dict() for kind, test in tests.items()}
            for pair, tests in suite.words.items()
        },
        "sentence_retrieval": {
            sentences: test.measure(loaded, suite.batch_size).as_dict() for sentences, test in suite.sentences.items()
        },
    }


def load_model(folder: Path) -> PreTrainedModel:
    """A model from its Hugging Face folder, in float32, on the first GPU or the CPU; config.json says of which kind."""
    import torch
    from safetensors import SafetensorError
    from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForMaskedLM

    try:
        config = AutoConfig.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
        masked = any(name.endswith("ForMaskedLM") for name in config.architectures or ())
        model = (AutoModelForMaskedLM if masked else AutoModelForCausalLM).from_pretrained(
            folder, dtype=torch.float32, trust_remote_code=False, use_safetensors=True, local_files_only=True
        )
    except (OSError, ValueError, RuntimeError, ImportError, SafetensorError) as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise PrealignError(f"No language model could be read from {folder}: {reason}") from None
    return model.to("cuda" if torch.cuda.is_available() else "cpu").eval()
