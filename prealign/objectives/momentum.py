"""Keys for contrast with momentum: a slow copy of the encoder, and a queue (MoCo: He et al. 2020, section 3.2).

The copy follows the encoder as an exponential moving average of its weights,

    slow <- m * slow + (1 - m) * encoder

and encodes the keys; the queue remembers the keys of the last steps, so that a batch of any size is compared with many
others. Both are modules, so a checkpoint holds them and a resumed run goes on with the same keys. Every process has
all of both, under FSDP2 too.
"""

from __future__ import annotations

import copy
from typing import Literal

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from prealign import ranks

MomentumSchedule = Literal["constant", "linear", "exponential"]


def momentum_at(step: int, max_steps: int, first: float, last: float, schedule: MomentumSchedule) -> float:
    """m before the forward pass of a step, from 0: `first` throughout, or from `first` at step 0 to `last` at the end.

    linear moves m itself evenly; exponential moves 1 - m by an equal factor in every step, so that the number of steps
    that the copy averages over, 1 / (1 - m), grows evenly on a logarithmic scale.
    """
    done = step / max(1, max_steps - 1)
    match schedule:
        case "constant":
            return first
        case "linear":
            return first + (last - first) * done
        case "exponential":
            factor: float = ((1.0 - last) / (1.0 - first)) ** done
            return 1.0 - (1.0 - first) * factor


class SlowCopy(nn.Module):
    """The moving average of an encoder's weights; made equal to it, never trained, without dropout."""

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        # One config for both: attention that is chosen for the encoder later is chosen for its copy.
        shared = {id(config): config} if (config := getattr(encoder, "config", None)) is not None else {}
        self.encoder = copy.deepcopy(encoder, shared).requires_grad_(False).eval()

    @torch.no_grad()
    def follow(self, encoder: nn.Module, momentum: float) -> None:
        """Move towards the encoder by 1 - `momentum` of the way, in the copy's own precision.

        Under FSDP2 every rank must call it. With bfloat16 as well, embeddings and last norm are there in bfloat16 while
        the model is in use, so the copy follows them rounded, to one part in 256; blocks it follows in float32.
        """
        for slow, now in zip(self.encoder.parameters(), encoder.parameters(), strict=True):
            whole = now.full_tensor() if isinstance(now, DTensor) else now
            slow.lerp_(whole.to(slow.dtype), 1.0 - momentum)


class KeyQueue(nn.Module):
    """The last `size` keys of all ranks, oldest first to go, each with the names of the sentences of its pair.

    A ring: keys fill it from place 0 on, then each new one takes the place of the oldest. Every rank has the same.
    """

    keys: Tensor
    """[size, width], float32; rows that no key has come to yet mean nothing."""
    names: Tensor
    """[size, 2] int64, of both sentences of each key's pair; equal numbers mark sentences that are written alike."""
    added: Tensor
    """[] int64: keys that were ever added."""

    def __init__(self, size: int, width: int) -> None:
        super().__init__()
        self.register_buffer("keys", torch.zeros(size, width))
        self.register_buffer("names", torch.zeros(size, 2, dtype=torch.int64))
        self.register_buffer("added", torch.zeros((), dtype=torch.int64))

    def __len__(self) -> int:
        """How many keys it holds."""
        return min(int(self.added), self.keys.shape[0])

    @property
    def is_full(self) -> bool:
        return len(self) == self.keys.shape[0]

    def content(self) -> tuple[Tensor, Tensor]:
        """Keys [held, width] and names [held, 2]; views, in no order."""
        return self.keys[: len(self)], self.names[: len(self)]

    @torch.no_grad()
    def add(self, keys: Tensor, names: Tensor) -> None:
        """Add the keys of all ranks, in the order of the ranks; each brings its own, and all must call this."""
        keys, names = ranks.gather(keys.to(self.keys.dtype)), ranks.gather(names)
        size = self.keys.shape[0]
        first = int(self.added) + max(0, len(keys) - size)  # of more than a queue's worth the last ones stay
        keys, names = keys[-size:], names[-size:]
        places = (first + torch.arange(len(keys), device=keys.device)) % size
        self.keys[places] = keys
        self.names[places] = names
        self.added.fill_(first + len(keys))
