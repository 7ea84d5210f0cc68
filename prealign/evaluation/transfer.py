"""Zero-shot cross-lingual transfer: learn from one language's labelled texts, test on every language.

The better a model has aligned its languages, the more of what the classifier learnt in English holds in the others. For
every model the task makes a new classifier, either by fine-tuning a copy in a fixed number of steps on the same
examples in the same order (`classifier`), or by a linear probe of the model as it is (`probe`), and asks it about the
test texts of each language. Nothing is chosen by looking at the labels of tests.

Reported are the accuracy in each language, how far it lies below that of the first training language (the gap), and
what guessing gives: the share of the most frequent class. Whether an accuracy is above that is judged by a one-sided
binomial test. Pairs of texts can also be mixed, premise in one language and hypothesis in another, which separates
models best (Chi et al., InfoXLM, NAACL 2021).
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import binomtest

from prealign import __version__, draws, files
from prealign.config.settings import Recipe
from prealign.config.transfer import TransferSet
from prealign.corpora.drops import Drops
from prealign.corpora.labelled import Example, parallel_rows
from prealign.corpora.labelled_sets import LabelledSet, labelled_set
from prealign.errors import PrealignError
from prealign.evaluation.classifier import Encoded, FineTuning, fine_tune, probabilities, row_encoder
from prealign.evaluation.probe import PENALTY, fit_probe, text_features
from prealign.evaluation.task import Item, Measure, Outcome

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

log = logging.getLogger(__name__)

SURE = 0.05
"""Largest p-value at which an accuracy counts as above chance."""
MIXED = "+"
"""Between the languages of the first and the second text: "en+de"."""


@dataclass(frozen=True, slots=True)
class Questions:
    """The test texts of one language, or of one pair of languages."""

    encoded: Encoded
    rows: list[str]
    gold: list[int]
    """Classes by number."""

    @property
    def majority(self) -> float:
        """Share of the most frequent class: what guessing can reach."""
        return float(np.bincount(self.gold).max() / len(self.gold))


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferTest:
    """One transfer set, read and encoded once, for many models."""

    settings: TransferSet
    labels: list[str]
    trained: Encoded
    trained_labels: list[int]
    tests: dict[str, Questions]
    """By language, and by pair of languages ("en+de") where texts are mixed."""
    left_out: dict[str, Any]
    fingerprint: str
    """Of all texts."""
    seed: int
    max_tokens: int
    """Longest row; longer ones were cut."""
    max_batch_tokens: int
    autocast: torch.dtype | None

    @classmethod
    def of(
        cls,
        settings: TransferSet,
        texts: LabelledSet,
        tokenizer: PreTrainedTokenizerFast,
        *,
        max_tokens: int,
        max_batch_tokens: int,
        seed: int,
        autocast: torch.dtype | None = None,
        drops: Drops | None = None,
    ) -> TransferTest:
        """Encode all texts.

        Args:
            max_tokens: longest row; longer ones are cut and counted.
            max_batch_tokens: tokens per forward pass of the tests.
            autocast: precision of the fine-tuning; tests run in the model's own.
            drops: what reading has left out.
        """
        encode = row_encoder(tokenizer, max_tokens)
        numbers = {label: number for number, label in enumerate(texts.labels)}
        asked = dict(texts.test)
        for one, other in permutations(texts.test, 2) if settings.mixed_languages else ():
            try:
                rows = list(parallel_rows(texts.test[one], texts.test[other]))
            except PrealignError as error:
                raise PrealignError(f"The transfer set {settings.name}, {one} and {other}: {error}") from None
            asked[one + MIXED + other] = [
                Example(first.row, (first.texts[0], second.texts[1]), first.label) for first, second in rows
            ]
        tests = {
            code: Questions(
                encode([example.texts for example in examples]),
                [example.row for example in examples],
                [numbers[example.label] for example in examples],
            )
            for code, examples in asked.items()
        }
        return cls(
            settings=settings,
            labels=texts.labels,
            trained=encode([example.texts for example in texts.train]),
            trained_labels=[numbers[example.label] for example in texts.train],
            tests=tests,
            left_out=(drops or Drops()).as_dict(),
            fingerprint=files.fingerprint_of([texts.train, texts.test]),
            seed=seed,
            max_tokens=max_tokens,
            max_batch_tokens=max_batch_tokens,
            autocast=autocast,
        )

    @property
    def name(self) -> str:
        """Key in results.json."""
        return f"transfer {self.settings.name}"

    @property
    def signature(self) -> str:
        """The conditions of the numbers."""
        given = self.settings
        if given.method == "probe":
            method = f"probe:mean of tokens, all layers, languages centred|l2:{PENALTY:g}"
        else:
            method = f"steps:{given.max_steps}x{given.batch_size}|lr:{given.learning_rate:g}|repeats:{given.repeats}"
        return (
            f"{given.name}|data:{self.fingerprint}|train:{'+'.join(given.train)} {len(self.trained.rows)}"
            f"|{method}|tokens:{self.max_tokens}"
            f"|seed:{self.seed}|v:{__version__}"
        )

    def run(self, model: PreTrainedModel) -> Outcome:
        """Train classifiers on the model and test them."""
        return self._probed(model) if self.settings.method == "probe" else self._fine_tuned(model)

    def _probed(self, model: PreTrainedModel) -> Outcome:
        trained = text_features(model, self.trained.rows, self.max_batch_tokens)
        probe = fit_probe(trained, self.trained_labels, len(self.labels))
        answers, as_they_are = {}, {}
        for code, questions in self.tests.items():
            asked = text_features(model, questions.encoded.rows, self.max_batch_tokens)
            answers[code] = probe.probabilities(asked)[None]  # [1, rows, classes]
            as_they_are[code] = float(
                (probe.probabilities(asked, centred=False).argmax(axis=1) == questions.gold).mean()
            )
        outcome = self._outcome(answers, [[probe.loss]])
        for code, score in {**outcome.scores["languages"], **outcome.scores.get("mixed", {})}.items():
            score["accuracy_not_centred"] = as_they_are[code]
        return outcome

    def _fine_tuned(self, model: PreTrainedModel) -> Outcome:
        found: dict[str, list[NDArray[np.float32]]] = {code: [] for code in self.tests}
        courses = []
        for repeat in range(self.settings.repeats):
            how = FineTuning(
                max_steps=self.settings.max_steps,
                batch_size=self.settings.batch_size,
                learning_rate=self.settings.learning_rate,
                key=draws.key(self.seed, "transfer", self.settings.name, repeat),
                autocast=self.autocast,
            )
            classifier, losses = fine_tune(
                model, self.trained.rows, self.trained_labels, len(self.labels), how, self.name
            )
            courses.append(losses)
            for code, questions in self.tests.items():
                found[code].append(probabilities(classifier, questions.encoded.rows, self.max_batch_tokens))
        answers = {code: np.stack(per_repeat) for code, per_repeat in found.items()}  # [repeats, rows, classes]
        return self._outcome(answers, courses)

    def _outcome(self, answers: Mapping[str, NDArray[np.float32]], courses: Sequence[Sequence[float]]) -> Outcome:
        items = [item for code in self.tests for item in self._items(code, answers[code])]
        scores = {code: self._scores(code, answers[code]) for code in self.tests}
        single = {code: scores[code] for code in scores if MIXED not in code}
        mixed = {code: scores[code] for code in scores if MIXED in code}
        origin = next((code for code in self.settings.train if code in single), None)
        if origin is not None:
            for score in single.values():
                score["gap"] = single[origin]["accuracy"] - score["accuracy"]
        told = [f"{code} {100 * score['accuracy']:.1f} %" for code, score in single.items()]
        low = [code for code, score in single.items() if not score["above_chance"]]
        log.info("%s: %s%s", self.name, ", ".join(told), f"; not above chance: {', '.join(low)}" if low else "")
        tenth = max(1, self.settings.max_steps // 10)
        all_scores = {
            "labels": self.labels,
            "trained_on": {"languages": list(self.settings.train), "rows": len(self.trained.rows)},
            "training_loss": float(np.mean([losses[-tenth:] for losses in courses])),
            "languages": single,
            "left_out": self.left_out,
            "signature": self.signature,
        }
        return Outcome(all_scores | ({"mixed": mixed} if mixed else {}), self._measures(single, mixed, origin), items)

    def _items(self, code: str, answers: NDArray[np.float32]) -> list[Item]:
        """One per test text; its score is the share of the fine-tunings that got it right."""
        questions = self.tests[code]
        chosen = answers.argmax(axis=2)  # [repeats, rows]
        return [
            Item(
                test=code,
                item=row,
                score=float((chosen[:, i] == gold).mean()),
                detail={
                    "gold": self.labels[gold],
                    "predictions": [self.labels[number] for number in chosen[:, i]],
                    "probability": round(float(answers[:, i, gold].mean()), 4),
                },
            )
            for i, (row, gold) in enumerate(zip(questions.rows, questions.gold))
        ]

    def _scores(self, code: str, answers: NDArray[np.float32]) -> dict[str, Any]:
        """Accuracy of one test and what belongs beside it."""
        questions = self.tests[code]
        gold, chosen = np.array(questions.gold), answers.argmax(axis=2)
        accuracy = float((chosen == gold).mean())
        confusion = np.zeros((len(self.labels), len(self.labels)), dtype=np.int64)
        np.add.at(confusion, (np.broadcast_to(gold, chosen.shape), chosen), 1)
        p_value = binomtest(round(accuracy * len(gold)), len(gold), questions.majority, alternative="greater").pvalue
        return {
            "accuracy": accuracy,
            "chance": questions.majority,
            "uniform_chance": 1 / len(self.labels),
            "p_value_of_chance": float(p_value),
            "above_chance": bool(p_value < SURE),
            "n": len(gold),
            "n_cut": questions.encoded.n_cut,
            "confusion": confusion.tolist(),
        }

    def _measures(
        self, single: Mapping[str, Mapping[str, Any]], mixed: Mapping[str, Mapping[str, Any]], origin: str | None
    ) -> list[Measure]:
        name, note = self.settings.name, self._note()
        common: dict[str, Any] = {"task": self.name, "form": "share", "note": note, "signature": self.signature}
        measures = [
            Measure(
                name="accuracy", of=f"{name} {code}", value=score["accuracy"], better="higher",
                test=code, chance=score["chance"], headline=code in single, **common,
            )
            for code, score in {**single, **mixed}.items()
        ]  # fmt: skip
        measures += [
            Measure(
                name=f"gap to {origin}",
                of=f"{name} {code}",
                value=score["gap"],
                better="lower",
                headline=False,
                **common,
            )
            for code, score in single.items()
            if "gap" in score and code != origin
        ]
        if mixed:
            mean, chance = (float(np.mean([score[key] for score in mixed.values()])) for key in ("accuracy", "chance"))
            measures.append(
                Measure(name="accuracy", of=f"{name} mixed", value=mean, better="higher", chance=chance, **common)
            )
        return measures

    def _note(self) -> str:
        given, classes = self.settings, f"{len(self.labels)} classes"
        examples = f"{len(self.trained.rows):,} examples in {', '.join(given.train)}"
        if given.method == "probe":
            how = (
                f"logistic regression of {classes} on {examples}, from mean states of all layers of the frozen model, "
            )
            how += "the mean of each language taken away"
        else:
            times = "" if given.repeats == 1 else f" {given.repeats} times"
            how = f"a classifier of {classes}, fine-tuned{times} on {examples} for {given.max_steps:,} steps of "
            how += str(given.batch_size)
        return f"{given.name}: accuracy of {how}; chance is the share of the most frequent class."


def transfer_tests(
    recipe: Recipe, tokenizer: PreTrainedTokenizerFast, autocast: torch.dtype | None = None
) -> list[TransferTest]:
    """The transfer tests of a recipe, all with the recipe's `seed`, so that arms and training seeds compare.

    Reads and encodes all their texts (about 5 s for 40,000 pairs of sentences): call it when the models are there.
    """
    tests = []
    for item in recipe.eval.transfer:
        drops = Drops()
        test = TransferTest.of(
            item,
            labelled_set(recipe, item, drops),
            tokenizer,
            max_tokens=min(item.max_tokens, recipe.pretrain.block_size),
            max_batch_tokens=recipe.eval.batch_size * recipe.pretrain.block_size,
            seed=recipe.seed,
            autocast=autocast,
            drops=drops,
        )
        asked = ", ".join(f"{code} {len(questions.rows):,}" for code, questions in test.tests.items())
        log.info(
            "%s: %s examples to learn from; tests: %s; left out: %s", test.name, len(test.trained.rows), asked, drops
        )
        tests.append(test)
    return tests
