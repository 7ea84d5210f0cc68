"""A tokenizer for text and nothing else: it pads and cuts nothing, and what looks like a special token is text.

Everything that turns running text, sentences or words into ids uses such a copy, so that the store, the dictionaries'
words and what is measured are cut alike. A web page that mentions `</s>` would otherwise put an end of document into
the middle of a document.

Special tokens are renamed in the copy, to begin with a code point that Unicode keeps free of characters. The switch
`encode_special_tokens` of the tokenizers library is not enough: it stops the search for special tokens, but Unigram
models (and BPE models that ignore merges) hold them as pieces as well and would still find them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Protocol

NO_CHARACTER = "\ufdd0"


class FastTokenizer(Protocol):
    """What is used of a `transformers.PreTrainedTokenizerFast`."""

    @property
    def backend_tokenizer(self) -> Any: ...
    @property
    def eos_token_id(self) -> Any: ...
    @property
    def all_special_ids(self) -> list[int]: ...
    @property
    def name_or_path(self) -> str: ...
    def __len__(self) -> int: ...


def text_tokenizer(tokenizer: FastTokenizer) -> Any:
    """A `tokenizers.Tokenizer` with the same ids for text; the caller's own is left as it is."""
    return text_tokenizer_of(json.loads(tokenizer.backend_tokenizer.to_str()))


def text_tokenizer_of(content: Mapping[str, Any]) -> Any:
    """The same from the content of a tokenizer.json."""
    from tokenizers import Tokenizer

    special = {token["content"] for token in content["added_tokens"] if token["special"]}

    def name(piece: str) -> str:
        return NO_CHARACTER + piece if piece in special else piece

    model = dict(content["model"])
    if isinstance(model["vocab"], list):  # Unigram
        model["vocab"] = [[name(piece), score] for piece, score in model["vocab"]]
    else:
        model["vocab"] = {name(piece): number for piece, number in model["vocab"].items()}
    if model.get("unk_token"):
        model["unk_token"] = name(model["unk_token"])
    if "merges" in model:
        merges = [merge.split(" ") if isinstance(merge, str) else merge for merge in model["merges"]]
        model["merges"] = [[left, right] for left, right in merges if special.isdisjoint((left, right, left + right))]
    added = [
        {**token, "content": name(token["content"]), "normalized": token["normalized"] and not token["special"]}
        for token in content["added_tokens"]
    ]
    plain = {**content, "model": model, "added_tokens": added, "truncation": None, "padding": None}
    return Tokenizer.from_str(json.dumps(plain))


def n_ids(tokenizer: FastTokenizer) -> int:
    """How many rows a table needs that has one for each id: the largest id + 1, in a vocabulary with holes more than
    it has pieces."""
    return max(tokenizer.backend_tokenizer.get_vocab(with_added_tokens=True).values(), default=-1) + 1
