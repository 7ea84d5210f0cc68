"""Open a tokenizer: a local Hugging Face folder, or a hub name where a hub is reachable. No remote code."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from prealign.errors import PrealignError
from prealign.hub import refuse_unreachable

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast


def load_tokenizer(place: Path | str) -> PreTrainedTokenizerFast:
    """The fast tokenizer at `place`.

    Raises:
        PrealignError: nothing usable is there, or it has no end-of-sequence token (documents are separated by it).
    """
    refuse_unreachable(place)
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(str(place), trust_remote_code=False)
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise PrealignError(f"No Hugging Face tokenizer could be read from {place}: {reason}") from None
    if not tokenizer.is_fast:
        raise PrealignError(f"The tokenizer at {place} has no tokenizer.json; convert it to a fast tokenizer first.")
    if tokenizer.eos_token_id is None and tokenizer.sep_token_id is not None:
        tokenizer.eos_token = tokenizer.sep_token  # BERT's name for it
    if tokenizer.eos_token_id is None:
        raise PrealignError(f"The tokenizer at {place} has no eos_token; set one, since documents are separated by it.")
    return tokenizer


def check_belongs(tokenizer: PreTrainedTokenizerFast, checkpoint: str) -> None:
    """Refuse a tokenizer that is not the one a checkpoint was trained with: its rows would stand for other pieces.

    A tokenizer that was extended, or got a mask token, still belongs. A checkpoint without a tokenizer says nothing.

    Raises:
        PrealignError: pieces of the checkpoint's own tokenizer are missing, or have other ids.
    """
    refuse_unreachable(checkpoint)
    from transformers import AutoTokenizer

    try:
        own = AutoTokenizer.from_pretrained(checkpoint, trust_remote_code=False).get_vocab()
    except (OSError, ValueError):
        return
    vocabulary = tokenizer.get_vocab()
    moved = [piece for piece, number in own.items() if vocabulary.get(piece) != number]
    if moved:
        raise PrealignError(
            f"{len(moved):,} of the {len(own):,} pieces of the tokenizer in {checkpoint} are missing from the run's "
            f"tokenizer or have other ids ({moved[0]!r}, ...), so what the model knows of them would be lost. Set "
            f"tokenizer.path to {checkpoint}; or, to start over with other pieces, take only its model.config."
        )
