"""How a model computes while it is trained: in which precision, with which attention, what it keeps for the backward
pass. Nothing here changes what is learnt, beyond rounding."""

from __future__ import annotations

import torch
from transformers import PreTrainedModel
from transformers.utils import is_flash_attn_2_available

from prealign.errors import PrealignError


def autocast_dtype(precision: str, device: torch.device) -> torch.dtype | None:
    """bfloat16 where it is asked for or faster, None for float32.

    On CPUs without AMX or AVX512-BF16 bfloat16 is ten times slower than float32 (measured on AVX2).
    """
    if precision != "auto":
        return torch.bfloat16 if precision == "bf16" else None
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else None
    # Private names of torch 2.8 to 2.13; where they are gone, float32 is never wrong.
    tests = ("_is_amx_tile_supported", "_is_avx512_bf16_supported")
    return torch.bfloat16 if any(getattr(torch.cpu, test, bool)() for test in tests) else None


def set_attention(model: PreTrainedModel, wanted: str, device: torch.device, dtype: torch.dtype | None) -> None:
    """Let the model compute attention as engine.attn_implementation says; `auto` leaves it as it was built."""
    if wanted == "auto":
        return
    lacking = {
        "a GPU": device.type != "cuda",
        "bf16 (engine.precision)": dtype is None,
        "the package flash-attn, which is not installed (pip install flash-attn)": not is_flash_attn_2_available(),
    }
    if wanted == "flash_attention_2" and any(lacking.values()):
        reasons = "; ".join(reason for reason, is_lacking in lacking.items() if is_lacking)
        raise PrealignError(
            f"engine.attn_implementation is flash_attention_2, which needs {reasons}. Leave it at auto (sdpa)."
        )
    try:
        model.set_attn_implementation(wanted)
    except (ValueError, ImportError) as error:
        raise PrealignError(f"engine.attn_implementation: {str(error).splitlines()[0]}") from error
    if model.config._attn_implementation != wanted:  # transformers only warns
        raise PrealignError(
            f"engine.attn_implementation is {wanted}, but attention of a {model.config.model_type} model cannot be "
            f"chosen; it is {model.config._attn_implementation}. Leave the setting out."
        )


def recompute_activations(model: PreTrainedModel) -> None:
    """Let every block be computed again in the backward pass instead of kept."""
    options = {"use_reentrant": False}
    if hasattr(model, "activation_checkpointing_enable"):  # the newer name; the older one warns where both are
        model.activation_checkpointing_enable(activation_checkpointing_kwargs=options)
    else:
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs=options)
