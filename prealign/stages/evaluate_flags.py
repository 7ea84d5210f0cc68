"""`prealign eval` without a recipe: any language models, from folders or the Hugging Face hub, on files of your own.

    prealign eval MODEL MODEL --source en --target de --words muse.en-de.tsv --text news.de.txt --output compared

Models are the arms of results.json, each with its own tokenizer. Bits per byte and retrieval compare them all the same;
perplexity and the loss of masked LMs compare models with one tokenizer only, and their signatures say so.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tyro.conf import Positional

from prealign import files
from prealign.config.fields import Count
from prealign.config.flags import parse
from prealign.config.lm_eval import LmEvalSettings
from prealign.errors import PrealignError
from prealign.stages.stage import Stage, options_of, versions

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

    from prealign.corpora.store import TokenStream
    from prealign.evaluation.task import Task
    from prealign.evaluation.word_retrieval import WordTest
    from prealign.objectives.masked_lm import Masking

log = logging.getLogger(__name__)

SEED = 0
"""What stands in results.json for the seed of models that were trained elsewhere."""


@dataclass
class Flags:
    """Compare language models, causal or masked, on texts, dictionaries and translated sentences.

    With a recipe instead: `prealign eval RECIPE`, for the models that it has trained.
    """

    models: Positional[tuple[str, ...]]
    """Folders of Hugging Face models with their tokenizers, or names on the hub."""
    output: Path
    """Folder to write: results.json, and what each model made of each item."""
    text: list[Path] = field(default_factory=list)
    """Running text for bits per byte: .txt (a document per line), .jsonl (a "text" field) or .parquet."""
    source: str = ""
    """BCP 47 code of the first language of --words and --sentences."""
    target: str = ""
    """BCP 47 code of the second language."""
    words: list[Path] = field(default_factory=list)
    """Dictionaries for word retrieval, in any format that can be read."""
    sentences: list[Path] = field(default_factory=list)
    """Translated sentences for sentence retrieval: TSV with the two languages as first columns."""
    lm_eval: LmEvalSettings = field(default_factory=LmEvalSettings)
    baseline: str | None = None
    """The model, as the table names it, that the others are compared with; none: no differences."""
    block_size: Count = 512
    """Longest row in tokens; the same for all models."""
    batch_size: Count = 16
    """Rows per forward pass."""
    max_words: Count = 1000
    """At most this many source words per dictionary."""

    @property
    def inputs(self) -> list[Path]:
        """The files and folders that tests are made from."""
        own_tasks = [] if self.lm_eval.include_path is None else [Path(self.lm_eval.include_path)]
        return [*self.text, *self.words, *self.sentences, *own_tasks]


def evaluate_from_flags(arguments: list[str]) -> int:
    """Carry out the command; the exit code."""
    flags = parse(Flags, arguments, "prealign eval")
    names = short_names(flags.models)
    _check(flags, list(names))
    local = {name: Path(place) for name, place in names.items() if Path(place).is_dir()}
    sizes = {"block_size": flags.block_size, "batch_size": flags.batch_size, "max_words": flags.max_words}
    stage = Stage(
        "eval",
        flags.output,
        {"models": names, "source": flags.source, "target": flags.target, "baseline": flags.baseline, **sizes}
        | options_of(flags.lm_eval, "lm_eval"),
        {str(path): files.fingerprint(path) for path in flags.inputs}
        | {name: files.fingerprint(path) for name, path in local.items()},
    )
    from prealign.evaluation.comparison_table import comparison_table
    from prealign.evaluation.parts import has_parts
    from prealign.evaluation.table import wants_colour

    if not stage.is_reused():
        with stage.locked():
            stage.build(lambda folder: _evaluate(flags, names, folder), worth_keeping=has_parts)
    print(comparison_table(files.read_json(flags.output / "results.json")).text(wants_colour(sys.stdout)))
    return 0


def short_names(models: Sequence[str]) -> dict[str, str]:
    """Name for tables -> place: the last parts of the paths, as many as it takes to tell all models apart."""
    parts = [Path(model).resolve().parts if Path(model).is_dir() else Path(model).parts for model in models]
    if not models:
        raise PrealignError("Name the models to evaluate: folders, or names on the hub.")
    for length in range(1, max(map(len, parts)) + 1):
        names = ["/".join(part[-length:]) for part in parts]
        if len(set(names)) == len(names):
            return dict(zip(names, models))
    raise PrealignError("A model is named twice.")


def _check(flags: Flags, names: list[str]) -> None:
    missing = [str(path) for path in flags.inputs if not path.exists()]
    if missing:
        raise PrealignError.of_several("These files do not exist:", missing)
    if not (flags.text or flags.words or flags.sentences or flags.lm_eval.tasks):
        raise PrealignError("There is nothing to measure on; give --text, --words, --sentences or --tasks.")
    if flags.sentences and not (flags.source and flags.target):
        raise PrealignError("--sentences needs --source and --target, the languages of the columns.")
    if flags.baseline is not None and flags.baseline not in names:
        raise PrealignError(f"--baseline is {flags.baseline}, but the models are {', '.join(names)}.")


def _evaluate(flags: Flags, names: dict[str, str], folder: Path) -> dict[str, Any]:
    from prealign.evaluation.parts import Parts, measure_missing
    from prealign.evaluation.statistics import FORMAT, RESULTS, compare, models_of
    from prealign.log import progress

    def parts(name: str) -> Parts:
        return Parts.of(folder, name, SEED)

    arms = {}
    for name, place in progress(names.items(), "evaluating", len(names), "models"):
        tasks = _tasks(flags, place)
        measure_missing(
            partial(_load, place, flags.block_size), tasks, parts(name), partial(log.info, "%s: %s done", name)
        )
        found = {task.name: parts(name).read(task.name) for task in tasks}
        arms[name] = [
            {
                "seed": SEED,
                "lm_tokens": {},
                "seconds": {"eval": round(sum(part["seconds"] for part in found.values()), 1)},
                "flops": {},
                "parameters": next(part["parameters"] for part in found.values()),
                "tasks": {
                    task: {"scores": part["scores"], "measures": list(map(_shown, part["measures"]))}
                    for task, part in found.items()
                },
            }
        ]
    results = {"format": FORMAT, "seeds": [SEED], "baseline": flags.baseline, "arms": arms, "versions": versions()}
    rows = compare(models_of(results, lambda arm, _, task: parts(arm).items(task)), flags.baseline)
    files.write_json(folder / RESULTS, results | {"comparison": [row.as_dict() for row in rows]})
    return {"models": names}


def _shown(measure: dict[str, Any]) -> dict[str, Any]:
    """A measure for this table, which shows P@1 of every dictionary; a run's own shows that of words held out."""
    return measure | {"headline": measure["headline"] or measure["name"] == "P@1"}


def _tasks(flags: Flags, place: str) -> list[Task]:
    """What a model is measured on, in the ids of its tokenizer."""
    from prealign.evaluation.bits_per_byte import BitsPerByteTask
    from prealign.evaluation.harness import is_masked
    from prealign.evaluation.lm_eval_adapter import LmEvalTask
    from prealign.evaluation.masked_lm_loss import MaskedLMLossTask
    from prealign.evaluation.sentence_retrieval import SentenceRetrievalTask, SentenceTest
    from prealign.evaluation.word_retrieval import WordRetrievalTask
    from prealign.stages.sentence_sets import sentence_pairs
    from prealign.tokenizer.load import load_tokenizer

    tokenizer, masked = load_tokenizer(place), is_masked(place)
    rows: dict[str, Any] = {"block_size": flags.block_size, "batch_size": flags.batch_size}
    tasks: list[Task] = []
    streams = {_title(path, flags.text): _stream(path, tokenizer) for path in flags.text}
    data = {_title(path, flags.text): files.fingerprint(path) for path in flags.text}
    if streams and masked:
        tasks.append(MaskedLMLossTask(streams, _with_ids(data, tokenizer), _masking(place, tokenizer), **rows))
    elif streams:
        tasks.append(BitsPerByteTask(streams, data, **rows))
    if flags.words:
        tasks.append(WordRetrievalTask(_word_tests(flags, tokenizer), flags.batch_size))
    tests = {}
    for path in flags.sentences:
        name = f"{_title(path, flags.sentences)} {flags.source}--{flags.target}"
        pairs = sentence_pairs(path, flags.source, flags.target)
        tests[name] = SentenceTest.of(name, pairs, tokenizer, flags.block_size)
    if tests:
        tasks.append(SentenceRetrievalTask(tests, flags.batch_size * flags.block_size))
    own = None if flags.lm_eval.include_path is None else Path(flags.lm_eval.include_path)
    return [*tasks, *LmEvalTask.all_of(flags.lm_eval, tokenizer, flags.batch_size, own, masked=masked)]


def _word_tests(flags: Flags, tokenizer: PreTrainedTokenizerFast) -> dict[str, dict[str, WordTest]]:
    from prealign.dictionary.dictionary import Dictionary
    from prealign.evaluation.word_retrieval import WordTest

    tests: dict[str, dict[str, WordTest]] = {}
    for path in flags.words:
        dictionary = Dictionary.read(path, flags.source, flags.target)
        pair, kind = f"{dictionary.source_language}--{dictionary.target_language}", _title(path, flags.words)
        test = WordTest.of(f"{pair} {kind}", dictionary, tokenizer, flags.max_words)
        tests.setdefault(pair, {})[kind] = test
        log.info("word retrieval, %s", test)
    return tests


def _stream(path: Path, tokenizer: PreTrainedTokenizerFast) -> TokenStream:
    """The documents of a file as token ids, each followed by the end token."""
    import numpy as np

    from prealign.corpora.document_formats import read_documents
    from prealign.corpora.drops import Drops
    from prealign.corpora.store import TokenStream
    from prealign.corpora.text_tokenizer import text_tokenizer

    encoder, drops = text_tokenizer(tokenizer), Drops()
    documents, n_bytes = [], []
    for text in read_documents(path, drops):
        ids = encoder.encode(text, add_special_tokens=False).ids
        documents.append(np.array([*ids, tokenizer.eos_token_id], dtype=np.uint32))
        n_bytes.append(len(text.encode()))
    if not documents:
        raise PrealignError(f"{path} holds no text ({drops}).")
    if drops.counts:
        log.info("%s: left out: %s", path, drops)
    starts = np.cumsum([0, *map(len, documents)], dtype=np.int64)
    return TokenStream(np.concatenate(documents), starts, np.array(n_bytes, dtype=np.int64))


def _load(place: str, block_size: int) -> PreTrainedModel:
    """A model that has positions for the longest row."""
    from transformers.utils.logging import disable_progress_bar

    from prealign.evaluation.harness import load_model
    from prealign.model.build import longest_row

    disable_progress_bar()  # transformers draws one for every model it opens
    model = load_model(place)
    positions = longest_row(model)
    if positions is not None and positions < block_size:
        raise PrealignError(f"{place} has {positions:,} positions; give a --block-size that all models have.")
    return model


def _masking(place: str, tokenizer: PreTrainedTokenizerFast) -> Masking:
    from prealign.corpora.text_tokenizer import n_ids
    from prealign.objectives.masked_lm import Masking

    if tokenizer.mask_token_id is None:
        raise PrealignError(f"{place} is a masked LM whose tokenizer has no mask token, so --text cannot be measured.")
    return Masking.of(tokenizer.mask_token_id, n_ids(tokenizer), tokenizer.all_special_ids)


def _with_ids(data: dict[str, str], tokenizer: PreTrainedTokenizerFast) -> dict[str, str]:
    """Fingerprints of texts as a tokenizer cuts them."""
    from prealign.corpora.store import tokenizer_fingerprint

    return {name: f"{content}-{tokenizer_fingerprint(tokenizer)}" for name, content in data.items()}


def _title(path: Path, among: Sequence[Path]) -> str:
    """How tables name a file: its name, or where another is named alike the whole path."""
    return path.name if sum(other.name == path.name for other in among) == 1 else str(path)
