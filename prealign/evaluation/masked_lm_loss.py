"""How well a masked LM guesses hidden tokens: its cross-entropy per hidden token, on fixed documents with fixed masks.

An encoder has no bits per byte, since it gives no probability to a text. Scoring every token with all others in sight
(pseudo-log-likelihood, Salazar et al. 2020) takes a forward pass for each; here 15 % of the tokens are hidden at once,
as in training, but all of them behind the mask token, so that each is a guess. Which ones is keyed by document and
place: all arms and steps are asked the same. The number depends on the tokenizer and on what is hidden, so it compares
models of one run and nothing else; it bears another name than bits per byte for that reason.

A document is read in blocks that do not overlap, its closing end-of-document token included and never hidden.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from prealign import __version__, draws
from prealign.errors import PrealignError
from prealign.evaluation.bits_per_byte import choose_documents, like_length, plan_windows
from prealign.evaluation.states import evaluating
from prealign.evaluation.task import Item, Measure, Outcome
from prealign.objectives.causal_lm import IGNORED
from prealign.objectives.masked_lm import MaskedLM, Masking, mask_tokens

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from prealign.corpora.store import TokenStream


class PerDocument(NamedTuple):
    """What the sums are made of, [documents] each."""

    number: NDArray[np.int64]
    """Place of the document in its stream."""
    nats: NDArray[np.float64]
    hidden: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class MaskedLMLoss:
    """A measurement over whole documents."""

    nats: float
    """Sum of -ln p(token) over the hidden tokens."""
    hidden: int
    """Tokens hidden."""
    documents: int
    """Documents read."""
    block_size: int
    """Longest row, in tokens."""
    per_document: PerDocument = field(compare=False, repr=False)

    @property
    def value(self) -> float:
        """Nats per hidden token."""
        return self.nats / self.hidden

    def as_dict(self) -> dict[str, Any]:
        """For results.json."""
        return {
            "value": self.value,
            "perplexity": math.exp(min(self.value, 700.0)),
            "hidden": self.hidden,
            "documents": self.documents,
            "signature": f"documents:{self.documents}|hidden:{self.hidden}|block:{self.block_size}|all behind the mask",
        }


@torch.no_grad()
def masked_lm_loss(
    model: PreTrainedModel,
    stream: TokenStream,
    masking: Masking,
    *,
    block_size: int,
    batch_size: int,
    max_tokens: int | None = None,
) -> MaskedLMLoss:
    """Measure a masked LM on documents (see the top of this module for what is counted).

    Args:
        model: a Hugging Face masked LM on any device; put back into training mode if it was in it.
        stream: documents of one language, each followed by EOS.
        masking: what training hides; its shares of kept and replaced tokens are not used.
        block_size: longest row in tokens.
        batch_size: rows of `block_size` tokens per forward pass; shorter ones go together in more rows.
        max_tokens: read a fixed sample of whole documents of at most so many tokens; none: read all.
    """
    starts = np.asarray(stream.document_starts, dtype=np.int64)
    chosen = choose_documents(starts[1:] - starts[:-1], max_tokens)
    hides_all = replace(masking, masked=1.0, replaced=0.0)
    objective = MaskedLM()
    nats, hidden = np.zeros(len(starts) - 1), np.zeros(len(starts) - 1, dtype=np.int64)  # of each document
    with evaluating(model):
        for documents, batch in _batches(stream, chosen, hides_all, block_size, batch_size * block_size):
            of_labels = np.repeat(documents, (batch["labels"] != IGNORED).sum(axis=1))  # [hidden tokens]
            on_device = {name: torch.from_numpy(array).to(model.device) for name, array in batch.items()}
            np.add.at(nats, of_labels, objective.losses(model, on_device).double().cpu().numpy())
            np.add.at(hidden, of_labels, 1)
    if not hidden.any():
        raise PrealignError(
            "masked LM loss: no token was hidden, the documents are too few or too short. Give the language more text "
            "or raise store.validation_share."
        )
    found = PerDocument(chosen, nats[chosen], hidden[chosen])
    return MaskedLMLoss(float(nats.sum()), int(hidden.sum()), len(chosen), block_size, found)


def _batches(
    stream: TokenStream, documents: NDArray[np.int64], masking: Masking, block_size: int, max_batch_tokens: int
) -> Iterator[tuple[NDArray[np.int64], dict[str, NDArray[np.int64]]]]:
    """Rows of like length together, longest first: the document of each row; input_ids and labels with hidden tokens,
    attention_mask."""
    starts = np.asarray(stream.document_starts, dtype=np.int64)
    windows = plan_windows(documents, np.diff(starts)[documents], block_size, block_size)
    # A row of a document is named by where it begins, so that the sample of documents does not matter.
    begins, sizes = windows.first, windows.end - windows.first
    for rows in like_length(sizes, max_batch_tokens):
        ids = np.zeros((len(rows), int(sizes[rows[0]])), dtype=np.int64)
        labels, mask = np.full_like(ids, -100), np.zeros_like(ids)
        for place, row in enumerate(rows):
            document, size = windows.document[row], sizes[row]
            begin = starts[document] + begins[row]
            key = draws.key("masked lm loss", int(document), int(begins[row]))
            tokens = np.asarray(stream.tokens[begin : begin + size]).astype(np.int64)[None]
            (ids[place, :size],), (labels[place, :size],) = mask_tokens(tokens, [key], masking)
            mask[place, :size] = 1
        yield windows.document[rows], {"input_ids": ids, "labels": labels, "attention_mask": mask}


@dataclass(frozen=True, slots=True)
class MaskedLMLossTask:
    """The masked LM loss of every language, on all validation documents."""

    streams: dict[str, TokenStream]
    """Validation documents by language."""
    data: dict[str, str]
    """Fingerprints of these documents as token ids."""
    masking: Masking
    block_size: int
    batch_size: int
    """Rows of `block_size` tokens per forward pass."""
    name: str = "masked_lm_loss"

    def run(self, model: PreTrainedModel) -> Outcome:
        """Scores: {language: as `MaskedLMLoss.as_dict`}; one item for each document with hidden tokens."""
        scores: dict[str, Any] = {}
        measures: list[Measure] = []
        items: list[Item] = []
        for code, stream in self.streams.items():
            sizes = {"block_size": self.block_size, "batch_size": self.batch_size}
            told = (found := masked_lm_loss(model, stream, self.masking, **sizes)).as_dict()
            scores[code] = told | {"signature": f"data:{self.data[code]}|{told['signature']}|v:{__version__}"}
            measures.append(
                Measure(
                    task=self.name,
                    name="masked LM loss",
                    of=code,
                    value=found.value,
                    better="lower",
                    form="number",
                    test=code,
                    note="nats per hidden token, the same tokens for all arms.",
                    signature=scores[code]["signature"],
                )
            )
            items += [
                Item(code, str(number), float(nats), float(hidden))
                for number, nats, hidden in zip(*found.per_document, strict=True)
                if hidden
            ]
        return Outcome(scores, measures, items)
