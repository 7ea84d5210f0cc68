"""Run by the tests in a process of its own, or in two that are joined by gloo (conftest.py starts them).

Each case writes what it found to FOLDER/CASE.json or, for training, a run folder FOLDER/CASE. The numbers of one
process and of two are compared by the tests.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer, models
from torch import nn
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from prealign import draws, files, ranks
from prealign.config.engine import EngineSettings, OptimizerSettings
from prealign.config.init import ModelSettings
from prealign.corpora.pair_store import EncodedPair, PairStore, words_key, write_pairs
from prealign.dictionary.dictionary import Dictionary
from prealign.dictionary.entries import Entry
from prealign.errors import PrealignError
from prealign.model.build import build_model
from prealign.objectives.causal_lm import CausalLM
from prealign.objectives.sentence_alignment import InBatchContrast, MomentumContrast
from prealign.objectives.word_alignment import WordAlignment, word_alignment_loss
from prealign.objectives.word_pairs import anchors
from prealign.objectives.word_states import pack, word_batch
from prealign.stages.context_words import ContextWords
from prealign.stages.word_groups import WordGroups
from prealign.train import checkpoint, shards
from prealign.train.batches import Shuffled, micro_batches_of, rows_of_step
from prealign.train.loop import Outcome, Task, train
from prealign.train.parallel import process_group

VOCABULARY, ROWS, STEPS = 61, 8, 12
LM, ALIGNMENT = CausalLM(("even", "odd")), WordAlignment()
SHUFFLED = Shuffled(20, draws.key(1, "rows"))
"""Twelve steps of eight rows go through 20 rows almost five times."""


def model(**fields: Any) -> PreTrainedModel:
    overrides = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24, **fields}
    special = {"bos": 1, "eos": 2, "pad": 3}
    settings = ModelSettings(overrides=overrides)
    return build_model(settings, vocab_size=VOCABULARY, special=special, max_positions=16, seed=1)


def text(rows: Sequence[int]) -> dict[str, Any]:
    """Rows by their sample numbers, with unequal numbers of labels: a mean of means would be wrong."""
    ids = torch.stack([torch.randint(4, VOCABULARY, (12,), generator=torch.Generator().manual_seed(n)) for n in rows])
    labels = ids.clone()
    for row, number in zip(labels, rows, strict=True):
        row[: number % 8] = -100
    languages = torch.tensor(list(rows)) % 2
    return {"input_ids": ids, "labels": labels, "languages": languages, "n_rows": len(rows)}


def words(step: int) -> dict[str, Any]:
    """This rank's share of eight groups, some of three words, two words written the same in different groups."""
    draw = torch.Generator().manual_seed(1000 + step)
    groups = [torch.randint(4, VOCABULARY, (2 + n % 2, 2), generator=draw).tolist() for n in range(8)]
    groups[6][1] = groups[1][0]
    mine = rows_of_step(0, 8, ranks.rank(), ranks.world_size())
    return word_batch([groups[n] for n in mine], list(mine), pad_id=3)


def tasks(step: int, per_device: int, *, text_weight: float = 1.0, words_weight: float = 0.5) -> list[Task]:
    mine = rows_of_step(step, ROWS, ranks.rank(), ranks.world_size())
    found: list[Task] = []
    if text_weight:
        found += [(text(part), LM, text_weight) for part in micro_batches_of(mine, per_device)]
    if words_weight:
        found.append((words(step), ALIGNMENT, words_weight))
    return found


def run(folder: Path, make: Any, *, engine: dict[str, Any] | None = None, **changes: Any) -> Outcome:
    """Train a model for some steps into a run folder."""
    settings: dict[str, Any] = {"logging_steps": 1, "save_steps": 4, "eval_steps": 3, "precision": "fp32"}
    return train(
        changes.pop("model", None) or model(),
        max_steps=STEPS,
        micro_batches=make,
        optimizer=OptimizerSettings(learning_rate=3e-3),
        engine=EngineSettings(**{**settings, **(engine or {})}),
        folder=folder,
        stage="test",
        facts={},
        seed=1,
        device=torch.device("cpu"),
        **changes,
    )


def both_objectives(folder: Path) -> None:
    run(folder / "both_objectives", lambda step: tasks(step, per_device=2))


def words_only(folder: Path) -> None:
    """No objective that reaches every parameter: the gradients must be summed all the same."""
    run(folder / "words_only", lambda step: tasks(step, per_device=2, text_weight=0.0))


def in_context(folder: Path) -> None:
    """Three linked words in each of four sentence pairs a step, some of them in more than one pair."""
    languages, place = ("en", "de"), folder / f"pairs-{ranks.rank()}"
    pairs = []
    for n in range(12):
        own = [n % 20, (3 * n + 7) % 20, (n + 5) % 20]
        links = [(place, place + 1, 2 - place, 3 - place) for place in range(3)]
        keys = [words_key(f"w{number}", f"v{number}", languages) for number in own]
        pairs.append(EncodedPair([4 + number for number in own], [30 + number for number in own[::-1]], links, keys))
    core = Tokenizer(models.WordLevel({str(n): n for n in range(VOCABULARY)}, unk_token="0"))
    write_pairs(place, {languages: pairs}, PreTrainedTokenizerFast(tokenizer_object=core, eos_token="2"))
    dictionary = Dictionary(*languages, [Entry(f"w{n}", f"v{n}", 1, 1.0, 1.0) for n in range(20)])
    sources = [("en", word) for word in dictionary.by_source()]
    ids = [[[4 + int(word[1:])], [30 + int(word[1:])]] for _, word in sources]
    groups = WordGroups(ids, np.ones(20, dtype=np.int64), sources)
    batches = ContextWords(PairStore(place), [dictionary], groups, per_batch=4, block=16, eos_id=2, pad_id=3, seed=5)
    objective = WordAlignment(0.2, "blocks")

    def make(step: int) -> list[Task]:
        return [*tasks(step, per_device=2, words_weight=0.0), (batches(step), objective, 0.5)]

    run(folder / "in_context", make)


def words_in_parts(folder: Path, parallel: str = "ddp") -> None:
    """Half of the layers and a temperature that is learnt; two ranks encode in parts, one process all at once."""
    in_parts = 5 if ranks.world_size() > 1 else 0
    objective = WordAlignment(0.3, "1-2", words_per_forward=in_parts, learn_temperature=True)

    def make(step: int) -> list[Task]:
        return [(words(step), objective, 0.5)]

    name = f"words_in_parts_{parallel}"
    run(folder / name, make, engine={"parallel": parallel}, stateful=[objective])
    if ranks.rank() == 0:
        files.write_json(folder / f"{name}.json", {"temperature": float(objective.temperature())})


def words_in_parts_fsdp(folder: Path) -> None:
    words_in_parts(folder, "fsdp")


def sentences(number: int, per_device: int = 2) -> list[dict[str, Any]]:
    """This rank's micro-batches of eight sentence pairs of one to five tokens a side."""
    mine = rows_of_step(0, 8, ranks.rank(), ranks.world_size())
    found = []
    for part in micro_batches_of(mine, per_device):
        sides: dict[str, list[list[int]]] = {"": [], "key_": []}
        for n in part:
            draw = torch.Generator().manual_seed(8 * (number % 3) + n)  # three batches, again and again
            ids = torch.randint(4, VOCABULARY, (2, 1 + n % 5), generator=draw).tolist()
            sides[""].append(ids[0])
            sides["key_"].append(ids[1])
        packed = {
            prefix + name: tensor
            for prefix, side in sides.items()
            for name, tensor in pack(side, pad_id=3, row_tokens=8).items()
        }
        names = torch.tensor([[draws.key(*ids) >> 1 for ids in pair] for pair in zip(*sides.values(), strict=True)])
        found.append({**packed, "names": names, "n_contrast_pairs": len(part)})
    return found


def contrast(folder: Path, cut: int | None = None, parallel: str = "ddp") -> None:
    """Text, and sentence pairs against a queue that is filled first, through a projection that is learnt."""
    base = model()
    objective = MomentumContrast(
        base,
        layer=1,
        pooling="mean",
        temperature=0.5,
        queue_size=20,
        momentum=lambda step: 0.8,
        first_keys=lambda: [sentences(100 + number) for number in range(3)],
        projected=True,
    )

    def make(step: int) -> list[Task]:
        if step == cut:
            raise KeyboardInterrupt
        batches = sentences(step)
        marked = [
            {**batch, "step": step, "is_first": place == 0, "is_last": place == len(batches) - 1}
            for place, batch in enumerate(batches)
        ]
        return [*((batch, objective, 0.5) for batch in marked), *tasks(step, per_device=2, words_weight=0.0)]

    try:
        run(folder, make, model=base, engine={"parallel": parallel}, stateful=[objective])
    except KeyboardInterrupt:
        return
    if ranks.rank() == 0:
        held = {name: tensor.flatten().tolist() for name, tensor in objective.state_dict().items()}
        files.write_json(folder / "objective.json", held)


def in_batch(folder: Path) -> None:
    """Text, and sentence pairs that are each other's negatives over all ranks."""
    objective = InBatchContrast(layer=1, temperature=0.5)

    def make(step: int) -> list[Task]:
        pairs = sentences(step, per_device=8)
        return [*((batch, objective, 0.5) for batch in pairs), *tasks(step, per_device=2, words_weight=0.0)]

    run(folder / "in_batch", make)


def _contrast(name: str, cut: int | None = None, parallel: str = "ddp") -> Callable[[Path], None]:
    return lambda folder: contrast(folder / name, cut, parallel)


contrast_whole = _contrast("contrast")
contrast_fsdp = _contrast("contrast_fsdp", parallel="fsdp")
contrast_cut = _contrast("contrast_cut", 6)
contrast_resumed = _contrast("contrast_cut")


def alignment_loss(folder: Path) -> None:
    """Loss and gradient of fixed states, spread over the ranks, for both forms and with the collapse term."""
    draw = torch.Generator().manual_seed(7)
    states = torch.randn(3, 20, 6, generator=draw)
    groups, forms = torch.arange(20) // 2, torch.arange(20)
    forms[14] = forms[3]
    # Unequal shares, as groups of unequal size give them; whole groups stay on one rank.
    first = 12 if ranks.world_size() == 2 else 20
    mine = slice(0, first) if ranks.rank() == 0 else slice(first, 20)
    found: dict[str, Any] = {}
    for positives in ("log_sum", "sum_log"):
        own = states[:, mine].clone().requires_grad_()
        options = {"forms": forms[mine], "positives": positives, "collapse_weight": 0.7}
        loss = word_alignment_loss(own, groups[mine], 0.2, **options)
        (gradient,) = torch.autograd.grad(loss, own)
        count = ranks.sum_over_ranks([float(anchors(groups[mine], forms[mine]).sum())])[0]
        found[positives] = {
            "loss": ranks.sum_over_ranks([loss.item()])[0],
            "count": count,
            "gradient": ranks.gather(gradient, dim=1).tolist(),
        }
    if ranks.rank() == 0:
        files.write_json(folder / "alignment_loss.json", found)


def not_finite(folder: Path) -> None:
    """One rank's loss goes wrong; every rank must stop with the same sentence."""

    class Broken(CausalLM):
        def loss_sum(self, model: Any, batch: Any) -> torch.Tensor:
            return super().loss_sum(model, batch) * (torch.nan if ranks.rank() == ranks.world_size() - 1 else 1.0)

    def make(step: int) -> list[Task]:
        return [(text(rows_of_step(step, ROWS, ranks.rank(), ranks.world_size())), Broken(), 1.0)]

    try:
        run(folder / "not_finite", make)
    except Exception as error:
        files.write_json(folder / f"not_finite.{ranks.rank()}.json", {"kind": type(error).__name__, "text": str(error)})


def killed_while_saving(folder: Path) -> None:
    """SIGKILL in the middle of writing the second checkpoint; the same call again goes to the end."""
    first = not (folder / "killed_while_saving").exists()

    def kill(checkpoint: Path, state: Any) -> None:
        if first and "step-00000008" in checkpoint.name:
            os.kill(os.getpid(), signal.SIGKILL)

    run(
        folder / "killed_while_saving",
        lambda step: tasks(step, per_device=8),
        save_extra=kill,
        measure=lambda model: {"sum": float(model.lm_head.weight.double().sum())},
    )


class Learnt(nn.Module):
    """Alignment under a weight that it learns itself: w * loss - count * ln w."""

    name, trains_everything, parts = ALIGNMENT.name, False, None

    def __init__(self) -> None:
        super().__init__()
        self.log_weight = nn.Parameter(torch.zeros(()))
        self.register_buffer("seen", torch.zeros((), dtype=torch.int64))

    def count(self, batch: Any) -> int:
        return ALIGNMENT.count(batch)

    def loss_sum(self, model: Any, batch: Any) -> torch.Tensor:
        self.seen += 1
        return ALIGNMENT.loss_sum(model, batch) * self.log_weight.exp() - self.count(batch) * self.log_weight


def look(model: PreTrainedModel) -> dict[str, float]:
    """What validation does with a model: it runs it, and takes rows of its embeddings."""
    ids = torch.arange(8)[None]
    rows = model.get_input_embeddings()(ids).sum() + model.get_output_embeddings().weight[5].sum()
    return {"logits": float(model(ids).logits.square().mean()), "rows": float(rows)}


def shuffled(folder: Path, cut: int | None = None, **engine: Any) -> None:
    """Text in rows that are read again and again, and words in two of three steps, under a weight that is learnt.

    Args:
        cut: a power cut at this step.
    """
    learnt, resumed = Learnt(), (folder / "checkpoints").exists()

    def make(step: int) -> list[Task]:
        if step == cut:
            raise KeyboardInterrupt
        assert step >= 4 or not resumed, "begun anew"
        places = rows_of_step(step, ROWS, ranks.rank(), ranks.world_size())
        _, rows = SHUFFLED(np.arange(places.start, places.stop))
        found: list[Task] = [(text(part.tolist()), LM, 1.0) for part in np.split(rows, len(rows) // 2)]
        return [*found, (words(step), learnt, 0.5)] if step % 3 else found

    try:
        run(folder, make, engine=engine, measure=look, stateful=[learnt])
    except KeyboardInterrupt:
        return
    found = {"log_weight": float(learnt.log_weight), "seen": int(learnt.seen)}
    assert cut is None
    if ranks.rank() == 0:
        files.write_json(folder / "learnt.json", found)


def _shuffled(name: str, cut: int | None = None, **engine: Any) -> Callable[[Path], None]:
    return lambda folder: shuffled(folder / name, cut, **engine)


# Uninterrupted; cut off after a checkpoint; cut off, which is resumed by whatever is run on a copy of the folder.
straight = _shuffled("straight")
straight_fsdp = _shuffled("straight_fsdp", parallel="fsdp")
beside = _shuffled("beside", parallel="fsdp", async_save=True)
recomputed = _shuffled("recomputed", parallel="fsdp", gradient_checkpointing=True)
half = _shuffled("half", parallel="fsdp", precision="bf16")
cut_ddp = _shuffled("cut_ddp", 6)
cut_fsdp = _shuffled("cut_fsdp", 6, parallel="fsdp")
resumed_ddp = _shuffled("resumed_ddp")
resumed_fsdp = _shuffled("resumed_fsdp", parallel="fsdp")
crossed_to_ddp = _shuffled("crossed_to_ddp")
crossed_to_fsdp = _shuffled("crossed_to_fsdp", parallel="fsdp")
from_one_ddp = _shuffled("from_one_ddp")
from_one_fsdp = _shuffled("from_one_fsdp", parallel="fsdp")


def twice(folder: Path) -> None:
    """Cut off and resumed, cut off again, and left for the next."""
    for cut in (6, 10):
        shuffled(folder / "twice", cut, parallel="fsdp")


twice_resumed = _shuffled("twice", parallel="fsdp")


def tied(folder: Path) -> None:
    """Input and output embeddings are one parameter, of one group of shards; the alignment reads both."""
    run(
        folder / "tied",
        lambda step: tasks(step, per_device=2),
        engine={"parallel": "fsdp"},
        model=model(tie_word_embeddings=True),
        measure=look,
    )


def unequal(folder: Path) -> None:
    """One rank brings more micro-batches than the other, which shards do not allow."""

    def make(step: int) -> list[Task]:
        return [(text(range(2)), LM, 1.0)] * (1 + ranks.rank())

    try:
        run(folder / "unequal", make, engine={"parallel": "fsdp"})
    except PrealignError as error:
        files.write_json(folder / f"unequal.{ranks.rank()}.json", {"text": str(error)})


def unlike(folder: Path) -> None:
    """Rank 0 has no row of text in a step that has words on both."""

    def make(step: int) -> list[Task]:
        return [(text([1]), LM, 1.0)][: ranks.rank()] + tasks(step, per_device=2, text_weight=0.0)

    try:
        run(folder / "unlike", make)
    except PrealignError as error:
        files.write_json(folder / f"unlike.{ranks.rank()}.json", {"text": str(error)})


def not_shared(folder: Path) -> None:
    """Rank 1 sees another newest checkpoint, as where the run folder is on each machine's own disk."""
    run(folder / "not_shared", lambda step: tasks(step, per_device=2))
    if ranks.rank() == 1:
        checkpoint.steps_on_disk = lambda folder: [4]
    run(folder / "not_shared", lambda step: tasks(step, per_device=2))


def stopped(folder: Path) -> None:
    """One rank alone is asked to stop, while a checkpoint is being written beside the training."""

    def make(step: int) -> list[Task]:
        if step == 4 and ranks.rank() == 1:
            os.kill(os.getpid(), signal.SIGTERM)
        return tasks(step, per_device=2)

    outcome = run(folder / "stopped", make, engine={"async_save": True})
    whole = checkpoint.is_whole(outcome.checkpoint)
    files.write_json(folder / f"stopped.{ranks.rank()}.json", {"finished": outcome.finished, "whole": whole})


def _fault(happen: Callable[[], None], **engine: Any) -> Callable[[Path], Outcome]:
    """A run in which something happens to rank 1 where it makes the batches of step 6."""

    def make(step: int) -> list[Task]:
        if step == 5 and ranks.rank() == 1:
            happen()
        return tasks(step, per_device=2)

    return lambda folder: run(folder / "fault", make, engine=engine)


def _raise() -> None:
    raise PrealignError("corpora/de.txt: row 41 is gone.")


rank_raises = _fault(_raise)
rank_dies = _fault(lambda: os.kill(os.getpid(), signal.SIGKILL))
rank_is_silent = _fault(lambda: time.sleep(14))
finish = _fault(lambda: None, parallel="fsdp")


def rank_dies_while_saving(folder: Path) -> None:
    """SIGKILL to one rank where it would write its shard of the second checkpoint."""

    def write(path: Path, tensors: Any, rows: Any) -> None:
        if ranks.rank() == 1 and "step-00000008" in str(path):
            os.kill(os.getpid(), signal.SIGKILL)
        written(path, tensors, rows)

    written, shards.write = shards.write, write
    finish(folder)


if __name__ == "__main__":
    place, cases, environment, timeout_s = globals()["arguments"]  # put there by conftest.py
    os.environ.update(environment)
    torch.set_num_threads(1)
    try:
        with process_group(timeout_s):
            for case in cases:
                globals()[case](Path(place))
    except PrealignError as error:
        (Path(place) / f"error.{environment.get('RANK', 0)}.txt").write_text(str(error), encoding="utf-8")
        sys.exit(2)
