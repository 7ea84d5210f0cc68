"""Who is compared with whom in a batch of words: anchors, their translations, their negatives. Rules only, no states.

Words come in groups, a source word and its translations; a *form* is a way of being written. For a word i:

    the word itself           neither positive nor negative
    a word of its group       a positive, unless it is written like i (its cosine is 1: there is nothing to learn, and
                              it would take the pull away from the other translations)
    a word of another group   a negative, unless the two groups share a written form

Groups that share a form, as {car, Auto} and {automobile, Auto} do, are most often about the same thing: were *car* and
*automobile* pushed apart, their common translation would be pulled to both sides. A word with a positive is an anchor;
one without is still a negative of others. Nothing here takes memory in the square of the batch: the pairs of some
anchors with all words are made when those anchors' turn comes (`Pairs.of`).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from prealign.objectives.chunks import rows_at_once


class Relations(NamedTuple):
    """A batch's groups and forms, numbered from 0, and which groups share a form."""

    group_of: Tensor
    """[words], int64."""
    form_of: Tensor
    """[words], int64."""
    n_forms: Tensor
    """[groups], different forms of each group."""
    shared_group: Tensor
    """[shared], the group of each distinct pair of a group and a form that occurs in several groups."""
    shared_form: Tensor
    """[shared], its form; these are numbered from 0 by themselves."""

    @classmethod
    def of(cls, groups: Tensor, forms: Tensor) -> Relations:
        """From any whole numbers, [words] each."""
        group_of, form_of = (torch.unique(numbers, return_inverse=True)[1] for numbers in (groups, forms))
        width = int(form_of.max()) + 1 if form_of.numel() else 1
        distinct = torch.unique(group_of * width + form_of)
        group, form = distinct // width, distinct % width
        shared = torch.bincount(form)[form] > 1
        shared_form = torch.unique(form[shared], return_inverse=True)[1]
        return cls(group_of, form_of, torch.bincount(group), group[shared], shared_form)

    def anchors(self) -> Tensor:
        """Words whose group has another form beside theirs: bool, [words]."""
        return (self.n_forms > 1)[self.group_of]

    def alike(self, groups: Tensor) -> Tensor:
        """Which groups of the batch share a form with some, themselves included: bool, [some, groups].

        Args:
            groups: [some], their numbers.
        """
        found = groups[:, None] == torch.arange(len(self.n_forms), device=groups.device)
        row, pair = (groups[:, None] == self.shared_group).nonzero(as_tuple=True)
        n_shared = int(self.shared_form.max()) + 1 if self.shared_form.numel() else 0
        has = torch.zeros((len(groups), n_shared), dtype=torch.bool, device=groups.device)
        has[row, self.shared_form[pair]] = True
        row, pair = has[:, self.shared_form].nonzero(as_tuple=True)
        found[row, self.shared_group[pair]] = True
        return found

    def not_negative(self) -> Tensor:
        """For each word, how many words of the batch are no negatives of it, itself included: int64, [words]."""
        size = torch.bincount(self.group_of)  # words of each group
        found = size.clone()
        for some in torch.unique(self.shared_group).split(rows_at_once(len(self.group_of), size.device)):
            found[some] = torch.where(self.alike(some), size, 0).sum(dim=1)
        return found[self.group_of]


def anchors(groups: Tensor, forms: Tensor, alike: bool = False) -> Tensor:
    """Which words have a translation in the batch that is written differently: bool, [words].

    Args:
        alike: as the paper's published code has it: source words with a translation, however it is written.
    """
    return sources(groups) & ~sources(groups).roll(-1) if alike else Relations.of(groups, forms).anchors()


def sources(groups: Tensor) -> Tensor:
    """Words that stand first in their group, bool, [words]; the words of a group follow one another."""
    first = torch.ones_like(groups, dtype=torch.bool)
    first[1:] = groups[1:] != groups[:-1]
    return first


class Counts(NamedTuple):
    """What a batch offers its anchors, summed over them."""

    anchors: int
    pairs: int
    """Anchors times the other words."""
    negatives: int
    kept_out: int
    """Pairs that are neither positive nor negative: the two are written the same, or their groups share a form."""

    @classmethod
    def of(cls, groups: Tensor, forms: Tensor, alike: bool = False) -> Counts:
        """Count a batch, [words] each; `alike` as in `anchors` and `Pairs.of`."""
        relations = Relations.of(groups, forms)
        anchor, words = anchors(groups, forms, alike), len(groups)
        together = torch.bincount(relations.group_of)[relations.group_of]
        if alike:
            n_anchors, negatives = int(anchor.sum()), int((words - together)[anchor].sum())
            return cls(n_anchors, n_anchors * (words - 1), negatives, 0)
        width = int(relations.form_of.max()) + 1
        _, same, copies = torch.unique(
            relations.group_of * width + relations.form_of, return_inverse=True, return_counts=True
        )
        positives = int((together - copies[same])[anchor].sum())
        negatives = int((words - relations.not_negative())[anchor].sum())
        n_anchors = int(anchor.sum())
        pairs = n_anchors * (words - 1)
        return cls(n_anchors, pairs, negatives, pairs - positives - negatives)


class Pairs(NamedTuple):
    """Some anchors against all words."""

    anchor: Tensor
    """[positives], row of each positive pair: which of the anchors."""
    word: Tensor
    """[positives], its column: which of the words."""
    itself: tuple[Tensor, Tensor]
    """Row and column of each anchor, [anchors] each."""
    left_out: Tensor
    """bool, [anchors, words]: neither positive nor negative."""

    @classmethod
    def of(cls, relations: Relations, places: Tensor, alike: bool = False) -> Pairs:
        """The pairs of the words at `places` [anchors], in bool tables of anchors x words, and less.

        Args:
            alike: compare words that are written the same like any others; `left_out` is then empty.
        """
        group_of, form_of = relations.group_of, relations.form_of
        itself = torch.arange(len(places), device=places.device), places
        anchor, word = (group_of[places, None] == group_of).nonzero(as_tuple=True)
        if alike:
            other = word != places[anchor]
            left_out = torch.zeros((len(places), len(group_of)), dtype=torch.bool, device=places.device)
            return cls(anchor[other], word[other], itself, left_out)
        left_out = relations.alike(group_of[places])[:, group_of]
        positive = form_of[places][anchor] != form_of[word]
        anchor, word = anchor[positive], word[positive]
        left_out[anchor, word] = False
        return cls(anchor, word, itself, left_out)
