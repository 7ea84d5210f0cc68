"""How much of a large table exists at a time: similarities between words, logits over a vocabulary."""

from __future__ import annotations

import torch

ELEMENTS = {"cpu": 1 << 20, "cuda": 1 << 27}
"""Elements of such a table: 4 MB of float32 stay in a CPU's cache (a quarter to four times as many made no difference);
512 MB on GPUs."""


def rows_at_once(width: int, device: torch.device) -> int:
    """Rows that a part of a table of this width has, one at least."""
    return max(1, ELEMENTS.get(device.type, ELEMENTS["cpu"]) // max(1, width))
