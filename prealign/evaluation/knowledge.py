"""CLKA, cross-lingual knowledge application: facts read in one language, asked for in another.

The facts are invented and stand in the training text of one language (`corpora.knowledge`); `knowledge_questions` puts
them into sentences that lack the last word, "The colour of Belozuf is". Candidates are all objects of the relation, and
the answer is the one with the largest ln p(candidate | sentence) / tokens of the candidate. A tie counts against the
model.

Divided by tokens, since a word that is cut into more tokens is less probable for that alone. Bytes would not do: many
objects are one token, and dividing those by their bytes would favour long words. The sum is reported beside it, and
P@1 without priors: with the mean over all names of the same relation taken off each candidate, which shows what a model
knows that always prefers one word.

Asked in the facts' own language this is recall; in another it is transfer, reported as it is and as a share of recall
above chance:

    ratio = (P@1 other - chance) / (P@1 own - chance)
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom

from prealign import __version__, files
from prealign.config.settings import Recipe
from prealign.evaluation.continuations import log_probabilities
from prealign.evaluation.knowledge_questions import UNSEEN, KnowledgeTest, ask
from prealign.evaluation.task import Item, Measure, Outcome

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

    from prealign.dictionary.dictionary import Dictionary

LEVEL = 0.05
"""A recall that guessing would reach with at least this probability is not told from chance."""


@dataclass(frozen=True, slots=True)
class KnowledgeTask:
    """The questions of a recipe in all its languages, encoded."""

    source: str
    """The language of the facts."""
    tests: Sequence[KnowledgeTest]
    n_candidates: int
    batch_tokens: int
    signature: str
    name: str = "knowledge"

    @classmethod
    def of(
        cls,
        recipe: Recipe,
        tokenizer: PreTrainedTokenizerFast,
        trained: Iterable[Dictionary],
    ) -> KnowledgeTask:
        """Ask for the facts of a recipe in all its languages.

        Args:
            trained: the entries that were aligned and switched, of all language pairs.
        Raises:
            PrealignError: a language has no wording or lacks an object, or a name is a word of a dictionary.
        """
        settings = recipe.knowledge
        tests = ask(recipe, tokenizer, list(trained))
        asked = [[test.name, [[one.asked, list(one.words), one.right] for one in test.questions]] for test in tests]
        return cls(
            source=tests[0].language,
            tests=tests,
            n_candidates=settings.candidates,
            batch_tokens=recipe.eval.batch_size * recipe.pretrain.block_size,
            signature=f"data:{files.fingerprint_of(asked)}|facts:{len(tests[0].questions)}"
            f"|candidates:{settings.candidates}|mentions:{settings.mentions}"
            f"|relations:{'+'.join(settings.relations)}|seed:{recipe.seed}|v:{__version__}",
        )

    def __str__(self) -> str:
        others = (f"{code} {share:.0%}" for code, share in self.objects_trained.items() if code != self.source)
        n_facts = len(self.tests[0].questions)
        return f"{n_facts} facts in {self.source}; objects with a trained translation: {', '.join(others) or 'none'}"

    @property
    def objects_trained(self) -> dict[str, float]:
        """Share of the questions of each language whose right word is a trained translation."""
        return {
            test.language: sum(one.covered for one in test.questions) / len(test.questions)
            for test in self.tests
            if not test.way
        }

    def run(self, model: PreTrainedModel) -> Outcome:
        """Ask a causal model everything."""
        found: dict[str, dict[str, Any]] = {}
        items: list[Item] = []
        for test in self.tests:
            sums = np.stack(log_probabilities(model, test.choices, self.batch_tokens))  # [questions, candidates]
            found[test.name], of_test = _scores(test, sums, self.n_candidates)
            items += of_test
        ratios = {test.name: self._ratio(found, test) for test in self.tests if test.language != self.source}
        scores = {
            "chance": 1 / self.n_candidates,
            "tests": found,
            "ratio": ratios,
            "objects_trained": self.objects_trained,
            "signature": self.signature,
        }
        return Outcome(scores, [*self._recall(found), *self._ratios(ratios)], items)

    def _recall(self, found: Mapping[str, Mapping[str, Any]]) -> Iterator[Measure]:
        shown = (
            f"how often the object of an invented fact has the largest log-probability per token of {self.n_candidates}"
        )
        where = f"; the facts stand in the {self.source} training text only."
        for test in self.tests:
            for name, value, own_items, note in (
                ("facts P@1", found[test.name]["p_at_1"], test.name, shown + where),
                (
                    "facts P@1 without priors",
                    found[test.name]["p_at_1_without_priors"],
                    None,
                    f"{shown}, less the object's mean over all names{where}",
                ),
            ):
                yield Measure(
                    task=self.name,
                    name=name,
                    of=test.name,
                    value=value,
                    better="higher",
                    form="share",
                    test=own_items,
                    chance=1 / self.n_candidates,
                    headline=own_items is not None and not test.way,
                    note=note,
                    signature=f"{self.signature}|asked:{test.name}",
                )

    def _ratios(self, ratios: Mapping[str, Mapping[str, Any]]) -> Iterator[Measure]:
        for of, ratio in ratios.items():
            if "withheld" not in ratio:
                yield Measure(
                    task=self.name,
                    name="transfer ratio",
                    of=of,
                    value=ratio["above_chance"],
                    better="higher",
                    form="number",
                    chance=0.0,
                    headline=False,
                    note=f"(P@1 - chance) over ({self.source} P@1 - chance).",
                    signature=f"{self.signature}|asked:{of}",
                )

    def _ratio(self, found: Mapping[str, Mapping[str, Any]], test: KnowledgeTest) -> dict[str, Any]:
        """Transfer into a language, or why it is not told; an unseen phrasing is compared with the source's."""
        own = found[self.source if test.way != UNSEEN else f"{self.source}, {UNSEEN}"]
        chance = 1 / self.n_candidates
        if own["p_value"] >= LEVEL:
            reached = f"{self.source} recall, {own['p_at_1']:.1%} of {own['n']} facts,"
            return {"withheld": f"{reached} is no different from chance ({chance:.1%}): there is nothing to transfer."}
        other = found[test.name]["p_at_1"]
        return {"above_chance": (other - chance) / (own["p_at_1"] - chance), "plain": other / own["p_at_1"]}


def _scores(test: KnowledgeTest, sums: NDArray[np.float64], n_candidates: int) -> tuple[dict[str, Any], list[Item]]:
    """Scores and items of one test from ln p of every candidate, [questions, candidates]."""
    per_token = sums / np.stack([choices.lengths for choices in test.choices])
    right = np.array([one.right for one in test.questions])
    relations = np.array([one.fact.relation for one in test.questions])
    centred = per_token.copy()
    for relation in np.unique(relations):
        centred[relations == relation] -= per_token[relations == relation].mean(axis=0)
    is_right = ranks(per_token, right) == 1
    covered = np.array([one.covered for one in test.questions])
    found = {
        "p_at_1": float(is_right.mean()),
        "p_at_1_without_priors": float((ranks(centred, right) == 1).mean()),
        "p_at_1_of_sums": float((ranks(sums, right) == 1).mean()),
        "p_at_1_covered": _share(is_right[covered]),
        "p_at_1_not_covered": _share(is_right[~covered]),
        "n": len(is_right),
        "n_covered": int(covered.sum()),
        "p_value": float(binom.sf(int(is_right.sum()) - 1, len(is_right), 1 / n_candidates)),
    }
    items = [
        Item(
            test=test.name,
            item=f"{one.fact.relation} of {one.fact.name}",
            score=float(correct),
            detail={
                "asked": one.asked,
                "right": one.words[one.right],
                "ranking": [one.words[place] for place in np.argsort(-scores, kind="stable")],
                "log_probability_per_token": [round(float(score), 4) for score in -np.sort(-scores)],
                "covered": one.covered,
            },
        )
        for one, correct, scores in zip(test.questions, is_right, per_token)
    ]
    return found, items


def ranks(scores: NDArray[np.float64], right: NDArray[np.int64]) -> NDArray[np.int64]:
    """Place of the right candidate, 1 for the best, [questions]; of several with the same score it is the last."""
    of_right = scores[np.arange(len(right)), right]
    return np.asarray((scores >= of_right[:, None]).sum(axis=1))


def _share(values: NDArray[np.bool_]) -> float | None:
    return float(values.mean()) if len(values) else None
