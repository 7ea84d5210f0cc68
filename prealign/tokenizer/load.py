"""Open a tokenizer: a local Hugging Face folder, or a hub name where a hub is reachable. No remote code."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from prealign.errors import PrealignError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast


def load_tokenizer(place: Path | str) -> PreTrainedTokenizerFast:
    """The fast tokenizer at `place`.

    Raises:
        PrealignError: nothing usable is there, or it has no end-of-sequence token (documents are separated by it).
    """
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(str(place), trust_remote_code=False)
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise PrealignError(f"No Hugging Face tokenizer could be read from {place}: {reason}") from None
    if not tokenizer.is_fast:
        raise PrealignError(f"The tokenizer at {place} has no tokenizer.json; convert it to a fast tokenizer first.")
    if tokenizer.eos_token_id is None:
        raise PrealignError(f"The tokenizer at {place} has no eos_token; set one, since documents are separated by it.")
    return tokenizer
