"""How much arithmetic a model asks for, and what share of the device's best that was: the MFU in metrics.jsonl.

Chowdhery et al. 2022 (PaLM), appendix B: training on a token takes

    6 N + 12 L H Q T

floating-point operations, forward and backward, with N parameters in matrix products, L layers, H heads of Q numbers
each and rows of T tokens; the second term is attention, not halved for causal masks. Nothing that is computed again
to save memory counts. The model FLOPs utilisation is operations done per second over those that are possible.

N leaves out embedding tables, which are looked up, and has the output matrix apart, since only predicted labels need
it: all positions of a causal LM but the last of each row, a share of a masked LM's, none of word alignment. A mixture
of experts is counted with all experts, so its MFU is too high.

Contrast of sentences reads two kinds of rows. Those that are read for keys only, by a slow copy without gradient, cost
a third, the forward pass. The others count whole although no gradient reaches the blocks above the contrasted layer: at
layer 8 of 12 that is up to two ninths too much. Filling the queue before the first step is not counted.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import nn
from transformers import PreTrainedModel

from prealign.train.step import Task

PEAK_BF16 = {
    # TFLOP/s of dense bf16 matrix products, from the makers' data sheets (NVIDIA's, where they give figures "with
    # sparsity", halved). Names as torch.cuda.get_device_name() tells them, the more special before the general.
    "A10": 125.0,
    "A100": 312.0,
    "L4": 121.0,
    "L40S": 362.0,
    "H100 PCIe": 756.0,
    "H100 NVL": 835.0,
    "H100": 989.4,
    "H200 NVL": 835.0,
    "H200": 989.4,
    "GH200": 989.4,
    "B200": 2250.0,
    "MI300X": 1307.4,
}


class Cost(NamedTuple):
    """What a model's operations are counted from."""

    body: int
    """Parameters in matrix products of every token: all but embedding tables and output matrix."""
    head: int
    """Numbers in the output matrix."""
    attention: int
    """L H Q: layers times heads times numbers per head; 0 where the config names no heads."""

    @classmethod
    def of(cls, model: PreTrainedModel) -> Cost:
        """Count a model; a matrix that serves as embeddings and output counts as output."""
        output = model.get_output_embeddings()
        head = None if output is None else output.weight
        tables = {id(p) for module in model.modules() if isinstance(module, nn.Embedding) for p in module.parameters()}
        config = model.config.get_text_config()
        layers, heads = (getattr(config, name, 0) for name in ("num_hidden_layers", "num_attention_heads"))
        per_head = getattr(config, "head_dim", None) or getattr(config, "hidden_size", 0) // max(1, heads)
        return cls(
            body=sum(p.numel() for p in model.parameters() if id(p) not in tables and p is not head),
            head=0 if head is None else head.numel(),
            attention=layers * heads * per_head,
        )

    def of_step(self, tasks: Sequence[Task], counts: Mapping[str, float], world: int) -> float:
        """Operations of one rank's share of an update.

        Args:
            tasks: the rank's micro-batches, with `input_ids` [rows, length], and where sentences are contrasted with
                `key_input_ids`.
            counts: what each objective counted, over all ranks.
            world: number of ranks.
        """
        body = 0.0
        for batch, objective, _ in tasks:
            for name in ("input_ids", "key_input_ids"):
                if name in batch:
                    rows, length = batch[name].shape
                    work = rows * length * (6 * self.body + 12 * self.attention * length)
                    body += work / 3 if name in getattr(objective, "without_gradient", ()) else work
        predicting = {objective.name for _, objective, _ in tasks if objective.trains_everything}
        return float(body + 6 * self.head * sum(counts[name] for name in predicting) / world)


def peak_flops(device: torch.device) -> float | None:
    """Operations per second that a GPU can do at best in bf16; None for CPUs and for GPUs that are not listed."""
    return peak_of(torch.cuda.get_device_name(device)) if device.type == "cuda" else None


def peak_of(name: str) -> float | None:
    """The same by the GPU's name, such as "NVIDIA A100-SXM4-80GB"; a slice of a GPU (MIG) is not listed."""
    if "MIG" in name:
        return None
    for known, teraflops in PEAK_BF16.items():
        if re.search(rf"\b{re.escape(known)}\b", name):
            return teraflops * 1e12
    return None
