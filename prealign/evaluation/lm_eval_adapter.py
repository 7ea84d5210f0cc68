"""Tasks of lm-evaluation-harness (EleutherAI) as tasks of our evaluation: XNLI, XCOPA, XStoryCloze, Belebele and more.

The library does the whole measurement: prompts, choices, metrics and their standard errors are its own, so the numbers
compare with those published elsewhere. Here its answer is turned into measures and items, one item per question. It is
imported only when a task is run. Its tasks with choices take the one with the highest log-probability (acc), or the
highest per byte (acc_norm).
"""

from __future__ import annotations

import copy
import logging
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prealign import files
from prealign.config.lm_eval import LmEvalSettings
from prealign.errors import PrealignError, missing_extra
from prealign.evaluation.task import Item, Measure, Outcome

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

OF_CHOICES = ("acc", "acc_norm")
SHARES = (*OF_CHOICES, "exact_match", "f1")
"""Metrics between 0 and 1; others are shown as plain numbers."""
REPORTED = ("results", "versions", "n-shot", "n-samples")
"""What results.json keeps of the library's answer."""


@dataclass(frozen=True, slots=True)
class LmEvalTask:
    """One task or group of tasks of the library, by the name that the library has for it."""

    task: str
    tokenizer: PreTrainedTokenizerFast
    batch_size: int
    include_path: Path | None = None
    limit: int | None = None
    """Take only the first so many questions; the signature says so."""

    @classmethod
    def all_of(
        cls,
        settings: LmEvalSettings,
        tokenizer: PreTrainedTokenizerFast,
        batch_size: int,
        include_path: Path | None = None,
        *,
        masked: bool = False,
    ) -> list[LmEvalTask]:
        """The tasks that the settings name; whether the library is there and knows them is told before any long work.

        Args:
            include_path: where the settings' `include_path` lies.
            masked: the models are masked LMs, which give no probability to a continuation.
        """
        if not settings.tasks:
            return []
        if masked:
            raise PrealignError("eval.lm_eval asks causal models only; leave its tasks out for a masked LM.")
        refuse_missing(settings)
        known = set(_manager_for(settings.tasks, include_path).all_tasks)
        if unknown := [name for name in settings.tasks if name not in known]:
            raise PrealignError(
                f"lm-eval has no task {', '.join(unknown)}. `lm_eval ls tasks` lists its own; those of a folder come "
                "with eval.lm_eval.include_path."
            )
        return [cls(name, tokenizer, batch_size, include_path, settings.limit) for name in settings.tasks]

    @property
    def name(self) -> str:
        """Key in results.json."""
        return f"lm_eval {self.task}"

    def run(self, model: PreTrainedModel) -> Outcome:
        """Scores: the parts `REPORTED` of the library's answer."""
        import lm_eval
        from lm_eval.models.huggingface import HFLM

        with _quiet():
            wrapped = HFLM(
                pretrained=model,
                tokenizer=copy.deepcopy(self.tokenizer),  # it is given a padding token where it has none
                batch_size=self.batch_size,
                backend="causal",
            )
            try:
                found: Any = lm_eval.simple_evaluate(
                    model=wrapped,
                    tasks=[self.task],
                    task_manager=_manager_for([self.task], self.include_path),
                    limit=self.limit,
                    bootstrap_iters=1000,
                    random_seed=None,  # else it seeds the generators of the whole process
                    numpy_random_seed=None,
                    torch_random_seed=None,
                )
            except (OSError, ValueError, KeyError) as error:
                reason = next(iter(str(error).splitlines()), type(error).__name__)
                raise PrealignError(
                    f"{self.name} could not be run: {reason}. Its data come from the Hugging Face hub or from its "
                    "cache; without a network, run it once where there is one, or name data on disk in a task of your "
                    "own (eval.lm_eval.include_path)."
                ) from error
        return _outcome(self.name, found, lm_eval.__version__)


def refuse_missing(settings: LmEvalSettings) -> None:
    """Stop when tasks are asked for and the library is not installed."""
    if settings.tasks and find_spec("lm_eval") is None:
        raise missing_extra("lm-eval", "eval", "eval.lm_eval")


def _outcome(name: str, found: Mapping[str, Any], version: str) -> Outcome:
    """Measures and items of every task that answered questions; groups of tasks stand in the scores only."""
    measures: list[Measure] = []
    items: list[Item] = []
    for task, samples in found["samples"].items():
        asked = files.fingerprint_of([sample["doc_hash"] for sample in samples])
        n_questions = len({sample["doc_id"] for sample in samples})  # each has a sample for every filter of answers
        signature = (
            f"{task}|version:{found['versions'][task]}|shots:{found['n-shot'][task]}|n:{n_questions}|data:{asked}"
            f"|lm_eval:{version}"
        )
        for metric, kept, value in _values(found["results"][task]):
            of_filter = [sample for sample in samples if sample["filter"] == kept]
            scores = [sample.get(metric) for sample in of_filter]
            shown = metric if kept == "none" else f"{metric} ({kept})"
            test = f"{task} {shown}"
            is_mean = _is_mean(scores, value)
            if is_mean:
                items += [_item(test, sample, float(score)) for sample, score in zip(of_filter, scores)]
            measures.append(
                Measure(
                    task=name,
                    name=shown,
                    of=task,
                    value=value,
                    better="lower" if found["higher_is_better"][task].get(metric) is False else "higher",
                    form="share" if metric in SHARES else "number",
                    test=test if is_mean else None,
                    chance=_chance(of_filter) if metric in OF_CHOICES else None,
                    headline=not any(measure.of == task for measure in measures),
                    note=f"lm-evaluation-harness, {found['n-shot'][task]} shots.",
                    signature=signature,
                )
            )
    return Outcome({part: found[part] for part in REPORTED}, measures, items)


def _values(reported: Mapping[str, Any]) -> Iterator[tuple[str, str, float]]:
    """Metric, filter of the answers and value of what is reported as "acc,none"."""
    for key, value in reported.items():
        metric, comma, kept = key.partition(",")
        if comma and not metric.endswith("_stderr") and isinstance(value, (int, float)):
            yield metric, kept, float(value)


def _is_mean(scores: Sequence[Any], value: float) -> bool:
    """Whether a metric is the mean of its questions' scores (perplexity, for one, is not)."""
    if not scores or not all(isinstance(score, (bool, int, float)) for score in scores):
        return False
    return math.isclose(math.fsum(scores) / len(scores), value, rel_tol=1e-6, abs_tol=1e-9)


def _item(test: str, sample: Mapping[str, Any], score: float) -> Item:
    detail = {"target": sample["target"], "responses": sample["filtered_resps"]}
    return Item(test, f"{sample['doc_id']} {sample['doc_hash'][:16]}", score, detail=detail)


def _chance(samples: Sequence[Mapping[str, Any]]) -> float | None:
    """Share right when one of each question's choices is drawn; None where a question has none, as in LAMBADA, whose
    acc is the share of texts whose last word is the most probable."""
    n_choices = [len(sample["arguments"]) for sample in samples]
    return math.fsum(1 / n for n in n_choices) / len(samples) if min(n_choices) > 1 else None


@cache
def _manager(include_path: Path | None, own_only: bool = False) -> Any:
    """The library's index of tasks; its own are thousands of files, which take it ten seconds and more to go through.

    own_only: those of `include_path` only.
    """
    from lm_eval.tasks import TaskManager

    with _quiet():
        return TaskManager(
            include_path=None if include_path is None else str(include_path), include_defaults=not own_only
        )


def _manager_for(tasks: Iterable[str], include_path: Path | None) -> Any:
    """An index that holds these tasks, if there is one."""
    own = None if include_path is None else _manager(include_path, own_only=True)
    return own if own is not None and {*tasks} <= {*own.all_tasks} else _manager(include_path)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the library's remarks on how it was called."""
    log = logging.getLogger("lm_eval")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(level)
