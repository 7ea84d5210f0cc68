"""The tests of a run: encoded once, for quick looks in training and for the final evaluation.

    suite = Suite.of(tokenizer, store, dictionaries, settings, block_size=128)
    row |= suite.quick(model, max_tokens=20_000)           # now and then in training, for a row of metrics.jsonl
    outcomes = [task.run(model) for task in suite.tasks]   # at the end, for results.json

Each task is a module of its own; `stages.evaluate` runs them on all arms and seeds and adds those that training does
not need.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from prealign import files
from prealign.config.evaluation import OWN_TESTS, EvalSettings
from prealign.errors import PrealignError
from prealign.evaluation.bits_per_byte import BitsPerByteTask, bits_per_byte
from prealign.evaluation.masked_lm_loss import MaskedLMLossTask, masked_lm_loss
from prealign.evaluation.sentence_retrieval import SentenceRetrievalTask, SentenceTest
from prealign.evaluation.task import Task
from prealign.evaluation.word_retrieval import WordRetrievalTask, WordTest
from prealign.hub import refuse_unreachable

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
    tasks: list[Task]
    """What finished models are measured on."""
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
            log.info("sentence retrieval, %s", sentence_tests[full_name])
        validation = {code: store.stream(code, "validation") for code in store.languages}
        rows: dict[str, Any] = {"block_size": block_size, "batch_size": settings.batch_size}
        tasks: list[Task] = [
            BitsPerByteTask(validation, {code: _sizes(stream) for code, stream in validation.items()}, **rows)
            if masking is None
            else MaskedLMLossTask(validation, {code: _ids(store, code) for code in validation}, masking, **rows)
        ]
        if words:
            tasks.append(WordRetrievalTask(words, settings.batch_size))
        if sentence_tests:
            tasks.append(SentenceRetrievalTask(sentence_tests, settings.batch_size * block_size))
        return cls(validation, words, tasks, **rows, masking=masking)

    def quick(self, model: PreTrainedModel, max_tokens: int) -> dict[str, Any]:
        """Part of a row of metrics.jsonl: bits per byte on a fixed sample of documents, P@1 of words per layer.

        Returns:
            {"bits_per_byte": {language: value}, or of masked LMs "masked_lm_loss",
             "word_retrieval": {pair: {test: [P@1 per layer, mean of both directions]}},
             "word_cosine": {pair: {test: [mean cosine between all words, per layer]}},
             "word_loss": {pair: {"held_out": [the loss of stage 1 on words that are never trained, per layer]}}}
        """
        measured = {
            pair: {name: test.measure(model, self.batch_size, loss=name == HELD_OUT) for name, test in tests.items()}
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
            "word_loss": {
                pair: {name: found.loss for name, found in tests.items() if found.loss is not None}
                for pair, tests in measured.items()
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


def is_masked(place: Path | str) -> bool:
    """Whether the Hugging Face folder (or hub name) holds a masked LM, as its config.json says."""
    refuse_unreachable(place)
    from transformers import AutoConfig

    try:
        config = AutoConfig.from_pretrained(place, trust_remote_code=False, local_files_only=Path(place).is_dir())
    except (OSError, ValueError) as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise PrealignError(f"No language model could be read from {place}: {reason}") from None
    return any(name.endswith("ForMaskedLM") for name in config.architectures or ())


def _sizes(stream: TokenStream) -> str:
    """Fingerprint of the documents' sizes in bytes, which tells texts apart and is the same for any tokenizer."""
    return files.fingerprint_of(np.asarray(stream.document_bytes).tolist())


def _ids(store: TokenStore, code: str) -> str:
    """Fingerprint of the validation documents as token ids."""
    found: str = store.summary["languages"][code]["validation"]["fingerprint"]
    return found


def load_model(place: Path | str) -> PreTrainedModel:
    """A model from its Hugging Face folder (or hub name), in float32, on the first GPU or the CPU."""
    import torch
    from safetensors import SafetensorError
    from transformers import AutoModelForCausalLM, AutoModelForMaskedLM

    kind = AutoModelForMaskedLM if is_masked(place) else AutoModelForCausalLM
    try:
        model = kind.from_pretrained(
            place,
            dtype=torch.float32,
            trust_remote_code=False,
            use_safetensors=True,
            local_files_only=Path(place).is_dir(),
        )
    except (OSError, ValueError, RuntimeError, ImportError, SafetensorError) as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise PrealignError(f"No language model could be read from {place}: {reason}") from None
    return model.to("cuda" if torch.cuda.is_available() else "cpu").eval()
