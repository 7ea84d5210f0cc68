"""The language-model objective: predict the next token, summed over labels, without ever holding all logits.

With hidden states h [positions, width], output embeddings W [vocabulary, width] and labels y,

    L = sum_i  log sum_v exp(h_i W_v) - h_i W_{y_i}        over positions whose next label is not -100

The plain way keeps float32 logits of the whole batch, their softmax and its gradient: at 32,000 pieces and 64k tokens
8 GB each. Here the head works through the positions in chunks and makes the gradient right away, in the place of the
chunk's logits: softmax(h W^T) - onehot(y), times W for the gradient of h, times h for the gradient of W. So nothing is
stored, and nothing is computed twice; the backward pass only scales. Values and gradients equal those of the full head
(tests).

Labels follow Hugging Face: `labels` line up with `input_ids` and are shifted here; -100 is not predicted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from prealign.objectives.chunks import rows_at_once
from prealign.objectives.objective import Parts, by_language
from prealign.objectives.packing import OncePerModel, float32_attention, refuse_leaks, text_inputs, trying_out

if TYPE_CHECKING:
    from transformers import PreTrainedModel

IGNORED = -100
PROBE_SCALE = 1000.0


class CausalLM:
    """Next-token prediction for any Hugging Face causal LM; its sum is divided by the number of predicted labels.

    Args:
        languages: what the numbers in `languages` of a batch stand for; such batches tell the loss of each.
        name: of the loss; another one keeps text of another kind, such as sentence pairs, apart in the metrics.
    """

    trains_everything = True

    def __init__(self, languages: Sequence[str] = (), name: str = "lm") -> None:
        self.languages, self.name = languages, name
        self.parts: Parts | None = None
        self._plain, self._separate = OncePerModel(head_is_plain), OncePerModel(refuse_leaks)

    def count(self, batch: Mapping[str, Any]) -> int:
        """Labels that are predicted: all but the first of each row and those of -100."""
        return int((batch["labels"][:, 1:] != IGNORED).sum())

    def loss_sum(self, model: PreTrainedModel, batch: Mapping[str, Any]) -> Tensor:
        """Sum of the cross-entropy in nats over the batch's predicted labels.

        Args:
            model: a Hugging Face causal LM.
            batch: input_ids [rows, length], labels [rows, length]; where rows hold separate documents, position_ids
                [rows, length] that begin anew with each (objectives/packing.py); else attention_mask, where there is
                one.
        """
        # Labels move instead of states: h[:, :-1] would copy all states, to save one position of a row.
        labels = F.pad(batch["labels"][:, 1:], (0, 1), value=IGNORED).flatten()  # [rows * length]
        inputs = {"use_cache": False, **text_inputs(model, batch, self._separate)}
        if self._plain(model):
            hidden = model.base_model(**inputs).last_hidden_state.flatten(0, 1)
            loss, losses = head_loss(hidden, model.get_output_embeddings().weight, labels)
        else:
            logits = model(**inputs).logits.float().flatten(0, 1)
            losses = F.cross_entropy(logits, labels, ignore_index=IGNORED, reduction="none")
            loss = losses.sum()
        of_rows = losses.view_as(batch["labels"]), (labels != IGNORED).view_as(batch["labels"])
        self.parts = by_language(batch, self.languages, *of_rows)
        return loss


def head_loss(hidden: Tensor, weight: Tensor, labels: Tensor, chunk: int | None = None) -> tuple[Tensor, Tensor]:
    """Cross-entropy of `hidden @ weight.T` against the labels, in chunks.

    Args:
        hidden: [positions, width]; weight: [vocabulary, width]; labels: [positions], -100 where nothing is predicted.
        chunk: positions at a time; None takes as many as objectives/chunks.py gives.
    Returns:
        The sum, and what each position adds to it, [positions], which has no gradient.
    """
    if chunk is None:
        chunk = rows_at_once(weight.shape[0], hidden.device)
    kind = hidden.device.type
    dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else hidden.dtype
    arguments = (hidden, weight, labels, chunk, dtype, torch.is_grad_enabled())
    found: tuple[Tensor, Tensor] = _HeadLoss.apply(*arguments)  # type: ignore[no-untyped-call]
    return found


class _HeadLoss(torch.autograd.Function):
    """The loss and, in the same sweep, its gradients; see the top of this file."""

    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, weight: Tensor, labels: Tensor, chunk: int, dtype: torch.dtype, grad: bool
    ) -> tuple[Tensor, Tensor]:
        grad_hidden = torch.empty_like(hidden) if grad and ctx.needs_input_grad[0] else None
        # Sums over chunks need float32, also where FSDP2 hands out the weights in bfloat16.
        sums = torch.promote_types(weight.dtype, torch.float32)
        grad_weight = torch.zeros_like(weight, dtype=sums) if grad and ctx.needs_input_grad[1] else None
        loss, losses = hidden.new_zeros((), dtype=torch.float32), hidden.new_empty(len(labels), dtype=torch.float32)
        with torch.autocast(hidden.device.type, enabled=False):
            matrix = weight.to(dtype)
            for start in range(0, hidden.shape[0], chunk):
                part = slice(start, start + chunk)
                states, predicted = hidden[part].to(dtype), (labels[part] != IGNORED).unsqueeze(1)  # [chunk, 1]
                wanted = labels[part].clamp(min=0).unsqueeze(1)
                logits = torch.mm(states, matrix.T).float()  # [chunk, vocabulary]
                right, highest = logits.gather(1, wanted), logits.amax(dim=1, keepdim=True)
                # In place: 9 ms for 2,048 x 8,192 on two cores, where logsumexp, sub and exp take 24.
                softmax = torch.softmax(logits, dim=1, out=logits)
                # The highest logit has softmax 1 / sum_v exp(logit_v - highest), which never underflows.
                normaliser = highest - softmax.amax(dim=1, keepdim=True).log()
                of_each = torch.where(predicted, normaliser - right, 0.0)
                losses[part] = of_each.squeeze(1)
                loss += of_each.sum()
                if grad_hidden is None and grad_weight is None:
                    continue
                gradient = softmax.scatter_add_(1, wanted, softmax.new_full(wanted.shape, -1.0)).to(dtype)
                # Rows without a label are zeroed on the narrow side: width columns, not the vocabulary's.
                if grad_hidden is not None:
                    grad_hidden[part] = torch.mm(gradient, matrix) * predicted
                if grad_weight is not None and grad_weight.dtype == dtype:
                    grad_weight.addmm_(gradient.T, states * predicted)
                elif grad_weight is not None:
                    grad_weight += torch.mm(gradient.T, states * predicted)
        ctx.gradients, ctx.weight_dtype = (grad_hidden, grad_weight), weight.dtype
        ctx.mark_non_differentiable(losses)
        return loss, losses

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad_loss: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        hidden, weight = (None if gradient is None else gradient.mul_(grad_loss) for gradient in ctx.gradients)
        ctx.gradients = None, None  # a second backward pass through the same graph would scale twice
        return hidden, None if weight is None else weight.to(ctx.weight_dtype), None, None, None, None


def head_is_plain(model: PreTrainedModel) -> bool:
    """Whether the logits are the base model's last states times the output embeddings, and nothing else.

    Some architectures scale, cap or transform on the way (Gemma 2, Cohere, Granite, heads with a bias). Tried on eight
    tokens with the head's input enlarged, since a cap at 30 cannot be seen on the small logits of random weights.
    """
    head = model.get_output_embeddings()
    if not isinstance(head, nn.Linear) or head.bias is not None:
        return False
    seen: list[Tensor] = []

    def enlarge(_: nn.Module, arguments: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        seen.append(arguments[0])
        return (arguments[0] * PROBE_SCALE, *arguments[1:])

    hook = head.register_forward_pre_hook(enlarge)
    try:
        with trying_out(model) as device, torch.autocast(device.type, enabled=False), float32_attention(model):
            ids = torch.arange(8, device=device).unsqueeze(0) % head.weight.shape[0]
            logits = model(input_ids=ids, use_cache=False).logits
            hidden = model.base_model(input_ids=ids, use_cache=False).last_hidden_state
            expected = F.linear(hidden * PROBE_SCALE, head.weight)
    finally:
        hook.remove()
    return len(seen) == 1 and torch.equal(seen[0], hidden) and torch.equal(logits, expected)
