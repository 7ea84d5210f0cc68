"""How probable a causal language model finds each of several continuations of one text.

The core of multiple choice, as `evaluation.knowledge` asks it. Candidates are compared from the first token in which
they differ, so it does not matter where a tokenizer puts the border between the text and its continuation. What the
candidates share is computed once: a question whose candidates are single tokens is one row, read at its end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from prealign.evaluation.bits_per_byte import like_length
from prealign.evaluation.states import evaluating
from prealign.objectives.causal_lm import head_is_plain
from prealign.objectives.chunks import rows_at_once

if TYPE_CHECKING:
    from transformers import PreTrainedModel

Ids = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Choices:
    """One question in tokens."""

    prompt: Ids
    """What all candidates have in common, the end-of-document token before the text included; never empty."""
    answers: Sequence[Ids]
    """What is left of each candidate, none empty."""

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Tokens of every answer, [candidates]."""
        return np.array([len(answer) for answer in self.answers], dtype=np.int64)


def encode_choices(core: Any, texts: Sequence[Sequence[str]], document_end: int) -> list[Choices]:
    """Questions as tokens.

    Args:
        core: a `tokenizers.Tokenizer` (`corpora.text_tokenizer`).
        texts: for each question the whole text with each of its candidates, two or more.
        document_end: id that stands before every text, as documents have it in the store.
    """
    flat = iter(core.encode_batch([text for group in texts for text in group], add_special_tokens=False))
    questions = []
    for group in texts:
        rows: list[Ids] = [(document_end, *next(flat).ids) for _ in group]
        alike = sum(1 for _ in takewhile(lambda column: len(set(column)) == 1, zip(*rows)))
        shared = min(alike, min(map(len, rows)) - 1)  # a candidate may be the beginning of another
        questions.append(Choices(rows[0][:shared], [row[shared:] for row in rows]))
    return questions


@torch.no_grad()
def log_probabilities(
    model: PreTrainedModel, questions: Sequence[Choices], batch_tokens: int
) -> list[NDArray[np.float64]]:
    """ln p(answer | prompt) of every candidate of every question, summed over the answer's tokens.

    Args:
        model: a causal LM; its logits are taken in float32.
        batch_tokens: tokens per forward pass, padding at the right included.
    Returns:
        One array [candidates] per question.
    """
    rows: list[Ids] = []
    wanted: list[tuple[int, int, int, int, int]] = []  # row, position, token, question, candidate
    for number, question in enumerate(questions):
        first = len(rows)
        for candidate, answer in sorted(enumerate(question.answers), key=lambda pair: -len(pair[1])):
            read = question.prompt + answer[:-1]
            row = next((r for r in range(first, len(rows)) if rows[r][: len(read)] == read), len(rows))
            if row == len(rows):
                rows.append(read)
            begin = len(question.prompt) - 1
            wanted += [(row, begin + k, token, number, candidate) for k, token in enumerate(answer)]
    table = np.array(wanted, dtype=np.int64)  # [tokens of answers, 5]
    found = np.zeros(len(table))
    with evaluating(model):
        plain_head = head_is_plain(model)
        for numbers in like_length(np.array([len(row) for row in rows]), batch_tokens):
            place_in_batch = np.full(len(rows), -1)
            place_in_batch[numbers] = np.arange(len(numbers))
            here = np.flatnonzero(place_in_batch[table[:, 0]] >= 0)
            row, position, token = place_in_batch[table[here, 0]], table[here, 1], table[here, 2]
            found[here] = _of_tokens(model, [rows[n] for n in numbers], row, position, token, plain_head)
    sums = [np.zeros(len(question.answers)) for question in questions]
    for value, (_, _, _, number, candidate) in zip(found, wanted):
        sums[number][candidate] += value
    return sums


def _of_tokens(
    model: PreTrainedModel,
    rows: Sequence[Ids],
    row: NDArray[np.int64],
    position: NDArray[np.int64],
    token: NDArray[np.int64],
    plain_head: bool,
) -> NDArray[np.float64]:
    """ln p(token after `position` of `row`) for each wanted token, [wanted]. Padding at the right changes nothing in a
    causal model."""
    ids = torch.zeros(len(rows), max(map(len, rows)), dtype=torch.long)
    for number, one in enumerate(rows):
        ids[number, : len(one)] = torch.tensor(one)
    ids = ids.to(model.device)
    places, which = np.unique(np.stack([row, position]), axis=1, return_inverse=True)
    which = which.ravel()  # [wanted]; NumPy 2.0.0 gives it another shape
    where = torch.from_numpy(places).to(model.device)  # [2, places]
    if plain_head:
        states = model.base_model(input_ids=ids, use_cache=False).last_hidden_state[where[0], where[1]]
        head = model.get_output_embeddings()
    else:
        states = model(input_ids=ids, use_cache=False).logits[where[0], where[1]]
        head = torch.nn.Identity()
    width = int(getattr(head, "out_features", states.shape[-1]))
    found = np.zeros(len(token))
    done = 0
    for part in torch.split(states, rows_at_once(width, ids.device)):
        logs = torch.log_softmax(head(part).float(), dim=-1)  # [places of this part, vocabulary]
        here = np.flatnonzero((which >= done) & (which < done + len(part)))
        chosen = logs[torch.from_numpy(which[here] - done).to(ids.device), torch.from_numpy(token[here]).to(ids.device)]
        found[here] = chosen.double().cpu().numpy()
        done += len(part)
    return found
