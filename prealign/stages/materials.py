"""What the stages with models read: tokenizer, store, dictionaries and test sets, each opened when first used.

The trainings of several seeds read the same, so `for_seed` gives materials with another recipe and layout around the
same open things.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray
from transformers.utils.logging import disable_progress_bar

from prealign import draws
from prealign.codeswitch.table import CodeSwitchTable
from prealign.config.arms import PLANS, Arm
from prealign.config.evaluation import SentenceSet
from prealign.config.settings import Recipe
from prealign.corpora.pair_store import PairStore
from prealign.corpora.store import TokenStore
from prealign.dictionary.dictionary import Dictionary
from prealign.evaluation.harness import Suite
from prealign.stages.language_model import masking_of
from prealign.stages.layout import Layout
from prealign.stages.sentence_sets import sentences_of
from prealign.stages.stage import Stage
from prealign.stages.word_groups import WordGroups
from prealign.tokenizer.load import load_tokenizer
from prealign.tokenizer.one_vocabulary import merge_twins

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

log = logging.getLogger(__name__)

Opened = TypeVar("Opened")


class opened_once(Generic[Opened]):  # noqa: N801, used like `property`
    """A property that is made when first used, and then shared by the materials of all seeds."""

    def __init__(self, make: Callable[[Any], Opened]) -> None:
        self._make = make
        self.__doc__ = make.__doc__

    def __get__(self, materials: Materials, owner: type[Materials]) -> Opened:
        opened = materials.opened
        if self._make not in opened:
            opened[self._make] = self._make(materials)
        found: Opened = opened[self._make]
        return found


class Materials:
    """Tokenizer, store, dictionaries and test sets of a run."""

    def __init__(self, recipe: Recipe, opened: dict[Any, Any] | None = None) -> None:
        self.recipe = recipe
        self.layout = Layout(recipe)
        self.opened = {} if opened is None else opened
        disable_progress_bar()  # transformers draws one for every model it opens

    def for_seed(self, seed: int) -> Materials:
        """The materials of the trainings with one of the recipe's seeds: other folders and draws, the same data."""
        return Materials(self.recipe.with_seed(seed), self.opened)

    def for_arm(self, arm: Arm) -> Materials:
        """The materials of an arm: these, or those that its start asks for."""
        return self.for_start(PLANS[arm].start)

    def for_start(self, kind: str) -> Materials:
        """The same of a start, which the arms that go on from it share."""
        return OneVocabulary(self) if kind == "one_vocabulary" else self

    def tells_apart(self, source: str, target: str) -> bool:
        """Whether words of two languages have ids of their own; retrieval of a word by itself would measure nothing."""
        return True

    @property
    def reads_pairs(self) -> bool:
        """Whether the linked sentence pairs are in the ids of this tokenizer."""
        return True

    @opened_once
    def tokenizer(self) -> PreTrainedTokenizerFast:
        """The tokenizer of all languages."""
        self.layout.tokenizer.require("prealign tokenizer RECIPE")
        return load_tokenizer(self.layout.tokenizer.folder)

    @opened_once
    def store(self) -> TokenStore:
        """The running text of all languages."""
        self.layout.store.require("prealign prepare RECIPE")
        store = TokenStore(self.layout.store.folder)
        store.check_tokenizer(self.tokenizer)
        return store

    @opened_once
    def pairs(self) -> PairStore:
        """Linked sentence pairs, for words in context."""
        return self._pairs_of(self.layout.pairs)

    @opened_once
    def translations(self) -> PairStore:
        """Sentence pairs to train on."""
        return self._pairs_of(self.layout.translations)

    def _pairs_of(self, stage: Stage) -> PairStore:
        stage.require("prealign prepare RECIPE")
        store = PairStore(stage.folder)
        store.check_tokenizer(self.tokenizer)
        return store

    @opened_once
    def dictionaries(self) -> list[tuple[Dictionary, Dictionary]]:
        """Per pair the entries used in training, and those held out to measure retrieval of words never aligned."""
        found = []
        for pair in self.recipe.dictionary.pairs:
            stage = self.layout.dictionary(pair)
            stage.require("prealign build-dict RECIPE")
            dictionary = Dictionary.read(stage.folder)
            found.append(dictionary.split(self.recipe.dictionary.held_out_share, self.recipe.seed))
        return found

    @opened_once
    def word_groups(self) -> WordGroups:
        """The training entries of all pairs as groups of words to align."""
        return WordGroups.of([trained for trained, _ in self.dictionaries], self.tokenizer)

    @opened_once
    def table(self) -> CodeSwitchTable | None:
        """The training entries compiled for switching; None without dictionaries."""
        if not self.dictionaries:
            return None
        return CodeSwitchTable.compile([trained for trained, _ in self.dictionaries], self.tokenizer)

    @opened_once
    def suite(self) -> Suite:
        """The test sets, encoded."""
        recipe = self.recipe
        gold = [
            (item.name, Dictionary.read(recipe.input(item.path), item.source, item.target))
            for item in recipe.eval.gold_dictionaries
            if self.tells_apart(item.source, item.target)
        ]
        dictionaries = [
            parts for parts in self.dictionaries if self.tells_apart(parts[0].source_language, parts[0].target_language)
        ]
        sentences = [
            (item.name, item.source, item.target, self._sentence_pairs(item))
            for item in recipe.eval.sentences
            if self.tells_apart(item.source, item.target)
        ]
        return Suite.of(
            self.tokenizer,
            self.store,
            dictionaries,
            recipe.eval,
            block_size=recipe.pretrain.block_size,
            gold=gold,
            sentences=sentences,
            masking=masking_of(recipe, self.tokenizer),
        )

    def _sentence_pairs(self, item: SentenceSet) -> list[tuple[str, str]]:
        """The sentences of a set, as many as the recipe asks for."""
        most = self.recipe.eval.max_sentences
        pairs = sentences_of(item, self.recipe, lambda: self.store, self.tokenizer)
        chosen = sorted(range(len(pairs)), key=lambda number: draws.key("sentences", *pairs[number]))[:most]
        if len(chosen) < len(pairs):
            log.info("%s: %s of %s sentence pairs are compared (eval.max_sentences)", item.path, most, len(pairs))
        return [pairs[number] for number in sorted(chosen)]


class OneVocabulary(Materials):
    """The materials of a run where a piece and its clone are one id (tokenizer/one_vocabulary.py)."""

    def __init__(self, own: Materials) -> None:
        super().__init__(own.recipe, own.opened.setdefault(OneVocabulary, {}))
        self._own = own

    def for_seed(self, seed: int) -> Materials:
        return OneVocabulary(self._own.for_seed(seed))

    def for_start(self, kind: str) -> Materials:
        return self._own.for_start(kind)

    def tells_apart(self, source: str, target: str) -> bool:
        def original(code: str) -> str:
            return self.recipe.languages[code].clone_of or code if code in self.recipe.languages else code

        return original(source) != original(target)

    @property
    def reads_pairs(self) -> bool:
        return False

    @opened_once
    def tokenizer(self) -> PreTrainedTokenizerFast:
        return self._merged[0]

    @opened_once
    def store(self) -> TokenStore:
        return self._own.store.renamed(self._merged[1])

    @property
    def dictionaries(self) -> list[tuple[Dictionary, Dictionary]]:
        return self._own.dictionaries

    @opened_once
    def _merged(self) -> tuple[PreTrainedTokenizerFast, NDArray[np.int64]]:
        """The tokenizer without twins, and what it calls the ids of the run's own."""
        self.layout.tokenizer.require("prealign tokenizer RECIPE")
        with tempfile.TemporaryDirectory() as folder:
            reads_as = merge_twins(self.layout.tokenizer.folder, Path(folder))
            return load_tokenizer(folder), reads_as
