"""Several sequences in one row of a batch, none of which sees another: the words of stage 1, documents in running text.

A row says where its sequences begin by `position_ids` that start again at 0; a pad takes position 0, which makes it a
sequence of its own. What a model needs to keep the sequences apart depends on its kind:

    causal, any attention but flash    no cache: transformers derives the block-diagonal causal mask from restarting
                                       positions, at any batch size, when neither an attention mask nor a cache is
                                       given; training calls that leave use_cache on would leak
    flash attention                    one long row and the places where its sequences begin; transformers looks at
                                       restarting positions only in a batch of one row, and several rows would leak
    encoders                           the block-diagonal mask itself: positions are not looked at

The stages build their models with sdpa, or eager where an architecture has no other, unless engine.attn_implementation
says otherwise.

`refuse_leaks` tries a model out, so that an architecture or a version that behaves otherwise is noticed. What else the
objectives have to know of a model is found out likewise, once for each (`OncePerModel`).
"""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers.models.auto.modeling_auto import MODEL_FOR_MASKED_LM_MAPPING_NAMES

from prealign.errors import PrealignError

if TYPE_CHECKING:
    from transformers import PreTrainedModel

T = TypeVar("T")


class OncePerModel(Generic[T]):
    """A function of a model that is called when a model is seen for the first time; models are not kept alive."""

    def __init__(self, find_out: Callable[[PreTrainedModel], T]) -> None:
        self._find_out = find_out
        self._found: weakref.WeakKeyDictionary[nn.Module, T] = weakref.WeakKeyDictionary()

    def __call__(self, model: PreTrainedModel) -> T:
        if model not in self._found:
            self._found[model] = self._find_out(model)
        return self._found[model]


@contextlib.contextmanager
def trying_out(model: PreTrainedModel) -> Iterator[torch.device]:
    """Give a model a few tokens to see how it behaves: in evaluation mode, without gradients, never compiled, since
    that would take a minute on a CPU for one call; gives its device."""
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad(), torch.compiler.set_stance("force_eager"):
            yield model.device
    finally:
        model.train(was_training)


@contextlib.contextmanager
def float32_attention(model: PreTrainedModel) -> Iterator[None]:
    """Inside, a model with flash attention, which does not know float32, takes sdpa."""
    before = model.config._attn_implementation or ""
    if "flash" not in before:
        yield
        return
    model.set_attn_implementation("sdpa")
    try:
        yield
    finally:
        model.set_attn_implementation(before)


def text_inputs(model: PreTrainedModel, batch: Mapping[str, Any], separate: OncePerModel[None]) -> dict[str, Any]:
    """The arguments with which a model reads a batch of running text.

    Args:
        batch: input_ids [rows, length]; where rows hold separate documents, position_ids [rows, length] that begin
            anew with each; else attention_mask, where there is one.
        separate: `refuse_leaks`, asked when there are separate documents.
    """
    if "position_ids" in batch:
        separate(model)
        return packed_inputs(model, batch["input_ids"], batch["position_ids"])
    return {key: batch[key] for key in ("input_ids", "attention_mask") if key in batch}


def packed_inputs(model: PreTrainedModel, input_ids: Tensor, position_ids: Tensor) -> dict[str, Any]:
    """The arguments with which `model` (or its `base_model`) reads packed rows, each sequence as if it were alone.

    Args:
        model: a Hugging Face model, causal or an encoder.
        input_ids: [rows, length].
        position_ids: [rows, length], 0 where a sequence or a pad begins, one more from token to token.
    Returns:
        input_ids, position_ids and what else it needs. Rows may have been joined into one, so states come back as
        [rows, length, width] or [1, rows * length, width]: flatten their first two dimensions.
    """
    begins = F.pad(position_ids.diff(dim=1) != 1, (1, 0), value=True)  # [rows, length]
    inputs: dict[str, Any] = {"input_ids": input_ids, "position_ids": position_ids + first_position(model)}
    if not reads_both_ways(model):
        inputs["use_cache"] = False
    attention = model.config._attn_implementation or ""
    if "flash" in attention:
        return inputs | _one_row(inputs, begins)
    if reads_both_ways(model):
        sequence = begins.cumsum(dim=1)
        together = (sequence[:, :, None] == sequence[:, None, :]).unsqueeze(1)  # [rows, 1, length, length]
        if attention == "eager":  # adds its mask to the scores
            kind = input_ids.device.type
            dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else model.dtype
            together = torch.zeros_like(together, dtype=dtype).masked_fill_(~together, torch.finfo(dtype).min)
        inputs["attention_mask"] = together
    return inputs


def reads_both_ways(model: PreTrainedModel) -> bool:
    """Whether this is an encoder with a masked-LM head, whose tokens also see what follows them."""
    return bool(MODEL_FOR_MASKED_LM_MAPPING_NAMES.get(model.config.model_type) == type(model).__name__)


def first_position(model: PreTrainedModel) -> int:
    """The position of a sequence's first token: 0, or in models of RoBERTa's family the place after the pad's."""
    table = getattr(getattr(model.base_model, "embeddings", None), "position_embeddings", None)
    pad = getattr(table, "padding_idx", None)
    return 0 if pad is None else int(pad) + 1


def _one_row(inputs: dict[str, Any], begins: Tensor) -> dict[str, Any]:
    """The rows behind one another, with the borders of their sequences as flash attention wants them."""
    tokens = begins.numel()
    starts = F.pad(begins.flatten().nonzero().flatten(), (0, 1), value=tokens).to(torch.int32)  # [sequences + 1]
    longest = int(starts.diff().max())
    borders = {"cu_seq_lens_q": starts, "cu_seq_lens_k": starts, "max_length_q": longest, "max_length_k": longest}
    return borders | {name: inputs[name].reshape(1, tokens) for name in ("input_ids", "position_ids")}


def refuse_leaks(model: PreTrainedModel) -> None:
    """Read a sequence beside others and alone, and stop when it makes a difference.

    Raises:
        PrealignError: sequences in one row of this model see each other, its positions do not start again, or it does
            not take what would keep them apart.
    """
    problem = "see each other: it does not follow positions that start again"
    middle, before, after = [5, 6, 7], ([8, 9], [9, 10]), ([4, 8], [10, 4])
    try:
        with trying_out(model) as device:
            one, other = (_states(model, [before[n], middle, after[n]], device)[2:5] for n in (0, 1))
            alone = _states(model, [middle], device)
            apart = torch.equal(one, other)  # neighbours that are masked out weigh exactly nothing
            # Another place in the row may round otherwise, in bfloat16 in the third digit.
            apart &= torch.allclose(one, alone, rtol=0, atol=0.05 * float(alone.abs().max()))
    except torch.OutOfMemoryError:
        raise
    except (TypeError, ValueError, RuntimeError) as error:  # an architecture that takes no positions, or no such mask
        apart, problem = False, f"cannot be read ({(str(error) or type(error).__name__).splitlines()[0]})"
    if not apart:
        raise PrealignError(
            f"Sequences in one row of a {model.config.model_type} model (attention: "
            f"{model.config._attn_implementation}) {problem}. "
            "Words of stage 1 and separate documents need an architecture that does, such as Llama, GPT-NeoX, GPT-2, "
            "Qwen or XLM-R, with sdpa, eager or flash attention."
        )


def _states(model: PreTrainedModel, sequences: list[list[int]], device: torch.device) -> Tensor:
    """Last states of some sequences in one row, [tokens, width], float32."""
    ids = torch.tensor([[token for sequence in sequences for token in sequence]], device=device)
    positions = torch.tensor([[place for sequence in sequences for place in range(len(sequence))]], device=device)
    states: Tensor = model.base_model(**packed_inputs(model, ids, positions)).last_hidden_state
    return states.float().flatten(0, 1)
