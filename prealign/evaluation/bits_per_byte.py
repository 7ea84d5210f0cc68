"""Bits per byte: how many bits the model needs to write down a text, per byte of it.

The measure by which languages, tokenizers and arms are compared (perplexity, given beside it, depends on the
tokenizer). The training loop takes it on a few documents now and then, the final evaluation on every validation
document, with the bits of each as an item.

What is counted, exactly:

- Every document is read on its own, after one end-of-document token. Every token of it, the first and the closing EOS
  included, is predicted once: without the EOS the text could not be decoded again. The EOS adds bits but no bytes.
- A document longer than a block is read in overlapping windows of exactly `block_size` tokens. The first predicts all
  its tokens, each later one only its last `stride` tokens: no token is lost at a border, and every token after the
  first window sees at least `block_size - stride` tokens before it.
- Bits are summed in float64 over all documents and divided once by the bytes of these documents.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from prealign import __version__, draws
from prealign.errors import PrealignError
from prealign.evaluation.states import evaluating
from prealign.evaluation.task import Item, Measure, Outcome
from prealign.objectives.causal_lm import head_is_plain
from prealign.objectives.chunks import rows_at_once

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from prealign.corpora.store import TokenStream


class PerDocument(NamedTuple):
    """What the sums are made of, [documents] each."""

    number: NDArray[np.int64]
    """Place of the document in its stream."""
    bits: NDArray[np.float64]
    bytes: NDArray[np.int64]
    tokens: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class BitsPerByte:
    """A measurement over whole documents: sums first, ratios from the sums."""

    bits: float
    """Sum of -log2 p(token) over all tokens, closing EOS included."""
    bytes: int
    """UTF-8 bytes of the documents (of the original text, where the language is a clone)."""
    tokens: int
    """Tokens predicted."""
    documents: int
    """Documents read."""
    block_size: int
    """Longest window, in tokens."""
    stride: int
    """Tokens predicted by every window of a long document after its first."""
    per_document: PerDocument = field(compare=False, repr=False)

    @property
    def value(self) -> float:
        """Bits per byte."""
        return self.bits / self.bytes

    @property
    def perplexity(self) -> float:
        """2 to the bits per token; compares models with the same tokenizer only."""
        return float(2.0 ** min(self.bits / self.tokens, 1000.0))

    @property
    def signature(self) -> str:
        """The conditions of the number."""
        return f"documents:{self.documents}|bytes:{self.bytes}|block:{self.block_size}|stride:{self.stride}|eos:counted"

    def as_dict(self) -> dict[str, Any]:
        """For results.json."""
        return {
            "value": self.value,
            "perplexity": self.perplexity,
            "bits": self.bits,
            "bytes": self.bytes,
            "tokens": self.tokens,
            "documents": self.documents,
            "signature": self.signature,
        }


@dataclass(frozen=True, slots=True)
class Windows:
    """Where to read and what to predict, one element per window; positions count tokens from the document's start."""

    document: NDArray[np.int64]
    """Number of the document in the stream."""
    begin: NDArray[np.int64]
    """First position whose token the window may predict; it is read from the token before it on."""
    first: NDArray[np.int64]
    """First position that counts; those from `begin` to here are context."""
    end: NDArray[np.int64]
    """One past the last position; `end - begin` is at most the block size."""


def plan_windows(documents: NDArray[np.int64], lengths: NDArray[np.int64], block_size: int, stride: int) -> Windows:
    """Cover documents of the given lengths (tokens with EOS) so that every position counts in exactly one window."""
    n_windows = 1 + np.ceil(np.maximum(lengths - block_size, 0) / stride).astype(np.int64)
    length = np.repeat(lengths, n_windows)
    windows_before = np.repeat(np.cumsum(n_windows) - n_windows, n_windows)
    number = np.arange(len(length)) - windows_before  # of the window within its document
    end = np.minimum(block_size + number * stride, length)
    return Windows(
        document=np.repeat(documents, n_windows),
        begin=np.maximum(end - block_size, 0),
        first=np.where(number == 0, 0, block_size + (number - 1) * stride),
        end=end,
    )


def choose_documents(lengths: NDArray[np.int64], max_tokens: int | None) -> NDArray[np.int64]:
    """Numbers of the documents to read, ascending: all, or a keyed sample of at most `max_tokens` tokens.

    Whole documents are read and at least one, so a first document of more tokens goes beyond that. The sample depends
    on nothing but the documents' number and lengths, so all arms and steps read the same.
    """
    n_documents = len(lengths)
    if max_tokens is None or int(lengths.sum()) <= max_tokens:
        return np.arange(n_documents)
    shuffled = draws.Permutation(n_documents, draws.key("bits per byte"))(np.arange(n_documents))
    n_taken = int(np.searchsorted(np.cumsum(lengths[shuffled]), max_tokens, side="right"))
    return np.sort(shuffled[: max(n_taken, 1)])


@torch.no_grad()
def bits_per_byte(
    model: PreTrainedModel,
    stream: TokenStream,
    *,
    block_size: int,
    batch_size: int,
    max_tokens: int | None = None,
    stride: int | None = None,
) -> BitsPerByte:
    """Measure a causal model on documents (see the top of this module for what is counted).

    Args:
        model: a Hugging Face causal LM on any device; put back into training mode if it was in it. Runs in the caller's
            autocast context; the loss is computed in float32.
        stream: documents of one language, each followed by EOS.
        block_size: longest window in tokens; the model must have positions for it.
        batch_size: rows of `block_size` tokens per forward pass; shorter windows go together in more rows.
        max_tokens: read a fixed sample of whole documents of at most so many tokens; none: read all.
        stride: tokens that each later window of a long document predicts; none: half the block size, which costs twice
            as much as no overlap.
    """
    stride = max(1, block_size // 2) if stride is None else stride
    if not 1 <= stride <= block_size:
        raise PrealignError(f"bits per byte: stride {stride} must lie between 1 and the block size, {block_size}.")
    tokens = np.asarray(stream.tokens)  # a view of the memory map
    starts = np.asarray(stream.document_starts, dtype=np.int64)
    lengths = np.diff(starts)
    if not len(lengths):
        raise PrealignError(
            "bits per byte: there is no document to read. Give the language more text or raise store.validation_share."
        )
    chosen = choose_documents(lengths, max_tokens)
    windows = plan_windows(chosen, lengths[chosen], block_size, stride)
    bits = np.zeros(len(lengths))  # of each document
    with evaluating(model):
        plain_head = head_is_plain(model)
        for rows in like_length(windows.end - windows.begin, batch_size * block_size):
            inputs, targets, counts = _read(tokens, starts, windows, rows)
            losses = token_losses(model, inputs, targets, counts, plain_head)  # [predicted], row by row
            np.add.at(bits, np.repeat(windows.document[rows], counts.sum(axis=1)), losses / math.log(2.0))
    found = PerDocument(chosen, bits[chosen], np.asarray(stream.document_bytes)[chosen], lengths[chosen])
    return BitsPerByte(
        bits=float(found.bits.sum()),
        bytes=int(found.bytes.sum()),
        tokens=int(found.tokens.sum()),
        documents=len(chosen),
        block_size=block_size,
        stride=stride,
        per_document=found,
    )


@dataclass(frozen=True, slots=True)
class BitsPerByteTask:
    """Bits per byte of every language, on all validation documents."""

    streams: dict[str, TokenStream]
    """Validation documents by language."""
    data: dict[str, str]
    """Fingerprints of these documents."""
    block_size: int
    batch_size: int
    """Rows of `block_size` tokens per forward pass."""
    name: str = "bits_per_byte"

    def run(self, model: PreTrainedModel) -> Outcome:
        """Scores: {language: as `BitsPerByte.as_dict`}; one item for each document."""
        scores: dict[str, Any] = {}
        measures: list[Measure] = []
        items: list[Item] = []
        for code, stream in self.streams.items():
            found = bits_per_byte(model, stream, block_size=self.block_size, batch_size=self.batch_size)
            signature = f"data:{self.data[code]}|{found.signature}|v:{__version__}"
            scores[code] = found.as_dict() | {"signature": signature}
            measures += self._measures(code, found, signature)
            items += [
                Item(code, str(number), float(bits), float(n_bytes), {"tokens": int(n_tokens)})
                for number, bits, n_bytes, n_tokens in zip(*found.per_document, strict=True)
            ]
        return Outcome(scores, measures, items)

    def _measures(self, code: str, found: BitsPerByte, signature: str) -> Iterator[Measure]:
        conditions: dict[str, Any] = {"task": self.name, "of": code, "better": "lower", "form": "number"}
        yield Measure(
            **conditions,
            name="bits/byte",
            value=found.value,
            test=code,
            note="over whole validation documents, each read on its own; "
            f"documents longer than {found.block_size:,} tokens in windows that advance by {found.stride:,}.",
            signature=signature,
        )
        yield Measure(
            **conditions,
            name="perplexity",
            value=found.perplexity,
            headline=False,
            note="per token; compares models with the same tokenizer only.",
            signature=f"{signature}|tokens:{found.tokens}",
        )


def like_length(lengths: NDArray[np.int64], max_batch_tokens: int) -> Iterator[NDArray[np.int64]]:
    """Numbers of the rows that go through the model together: of like length, longest first, so little is padded."""
    order = np.argsort(-lengths, kind="stable")
    done = 0
    while done < len(order):
        n_rows = max(1, max_batch_tokens // int(lengths[order[done]]))
        yield order[done : done + n_rows]
        done += n_rows


def _read(
    tokens: NDArray[Any], starts: NDArray[np.int64], windows: Windows, rows: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
    """Inputs and targets of some windows, [rows, longest], and which targets count.

    The token before a document is the EOS of the one before it (for the first that of the last one, at index -1), which
    is just what a document is to be read after. Padding at the right changes nothing in a causal model.
    """
    begin, end = windows.begin[rows, None], windows.end[rows, None]
    position = begin + np.arange(int((end - begin).max()))  # [rows, longest], within the document
    place = starts[windows.document[rows], None] + np.minimum(position, end - 1)  # in the stream
    counts = (position >= windows.first[rows, None]) & (position < end)
    return tokens[place - 1].astype(np.int64), tokens[place].astype(np.int64), counts


def token_losses(
    model: PreTrainedModel,
    inputs: NDArray[np.int64],
    targets: NDArray[np.int64],
    counts: NDArray[np.bool_],
    plain_head: bool,
) -> NDArray[np.float64]:
    """-ln p(target) where `counts` is true, row by row, [predicted].

    With a plain head (`head_is_plain`) the logits of all positions never exist at once, and none are made for context.
    """
    device = model.device
    input_ids = torch.from_numpy(inputs).to(device)  # [rows, tokens]
    where = torch.from_numpy(counts).to(device)
    wanted = torch.from_numpy(targets[counts]).to(device)
    if not plain_head:
        logits = model(input_ids=input_ids, use_cache=False).logits[where]
        losses = F.cross_entropy(logits.float(), wanted, reduction="none")
    else:
        states = model.base_model(input_ids=input_ids, use_cache=False).last_hidden_state[where]  # [predicted, width]
        head = model.get_output_embeddings()
        at_once = rows_at_once(head.weight.shape[0], device)
        chunks = zip(torch.split(states, at_once), torch.split(wanted, at_once))
        losses = torch.cat([F.cross_entropy(head(h).float(), y, reduction="none") for h, y in chunks])
    return losses.double().cpu().numpy()
