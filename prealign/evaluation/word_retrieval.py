"""Word retrieval: is a word's nearest neighbour in the other language its translation? Per layer, both directions.

A test is encoded once (`WordTest.of`) and measured on many models and training steps. Every word is read alone, in the
ids it has in running text; its state at a layer is the mean over its sub-words (docs/method.md). Queries are the source
words of a dictionary, candidates all its target words, and any translation in the dictionary is right; then the other
way round.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch.nn.functional as F

from prealign import __version__, draws
from prealign.errors import PrealignError
from prealign.evaluation.retrieval import Gold, Scores, chance, score
from prealign.evaluation.states import mean_states
from prealign.evaluation.word_forms import encode_words
from prealign.objectives.word_alignment import mean_cosine

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

    from prealign.dictionary.dictionary import Dictionary

Ids = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class WordRetrieval:
    """Scores of one test on one model; one number per layer: input embeddings, blocks, output rows."""

    forward: Scores
    """Source words ask for target words."""
    backward: Scores
    """Target words ask for source words."""
    cosine: list[float]
    """Mean cosine between all words of both languages; near 1 they have collapsed into one."""
    signature: str

    @property
    def p_at_1(self) -> list[float]:
        """P@1 per layer, mean of both directions."""
        return [(a + b) / 2 for a, b in zip(self.forward.p_at_1, self.backward.p_at_1)]

    def as_dict(self) -> dict[str, Any]:
        """For results.json; `summary` follows the rule of the table: mean over layers and both directions."""
        layers = self.p_at_1
        best = int(np.argmax(layers))
        return {
            "summary": {
                "p_at_1": sum(layers) / len(layers),
                "best_layer": best,
                "best_layer_p_at_1": layers[best],
                "chance": (self.forward.chance["p_at_1"] + self.backward.chance["p_at_1"]) / 2,
                "n_source": self.forward.n_queries,
                "n_target": self.backward.n_queries,
            },
            "p_at_1": layers,
            "cosine": self.cosine,
            "forward": asdict(self.forward),
            "backward": asdict(self.backward),
            "signature": self.signature,
        }


@dataclass(frozen=True, slots=True)
class WordTest:
    """The words of a dictionary, encoded and paired; words with the same ids are one word."""

    name: str
    """Pair and test, as "en--de held_out"."""
    sources: list[Ids]
    targets: list[Ids]
    gold: Gold
    left_out: dict[str, int]
    """Source words that could not be used, by reason."""

    @classmethod
    def of(cls, name: str, dictionary: Dictionary, tokenizer: PreTrainedTokenizerFast, max_words: int) -> WordTest:
        """Take at most `max_words` source words, chosen by the hash of the word, with all their translations.

        Left out are words with a translation of the same ids ("Hotel"), which any model finds, and words with unknown
        tokens.
        """
        entries = dictionary.by_source()
        words = sorted(entries, key=lambda word: draws.key("word retrieval", word))
        translations = [[entry.target for entry in entries[word]] for word in words]
        source_ids = map(tuple, encode_words(tokenizer, words))
        target_ids = iter(map(tuple, encode_words(tokenizer, [target for group in translations for target in group])))
        sources: dict[Ids, int] = {}
        targets: dict[Ids, int] = {}
        pairs: set[tuple[int, int]] = set()
        left_out = {"same form in both languages": 0, "unknown to the tokenizer": 0}
        for source, group in zip(source_ids, translations):
            right = [next(target_ids) for _ in group]
            if not all(ids and tokenizer.unk_token_id not in ids for ids in (source, *right)):
                left_out["unknown to the tokenizer"] += 1
            elif source in right:
                left_out["same form in both languages"] += 1
            elif source in sources or len(sources) < max_words:
                number = sources.setdefault(source, len(sources))
                pairs.update((number, targets.setdefault(ids, len(targets))) for ids in right)
        if not pairs:
            reasons = ", ".join(f"{count} {reason}" for reason, count in left_out.items())
            raise PrealignError(
                f"Word retrieval on {name}: none of the {len(words)} source words can be used ({reasons}). "
                "Give more entries or set eval.word_retrieval to false."
            )
        query, candidate = np.array(sorted(pairs), dtype=np.int64).T
        return cls(name, list(sources), list(targets), Gold(query, candidate, len(sources), len(targets)), left_out)

    def __str__(self) -> str:
        left_out = ", ".join(f"{count} {reason}" for reason, count in self.left_out.items() if count)
        size = f"{len(self.sources)} source and {len(self.targets)} target words"
        return f"{self.name}: {size}; left out: {left_out or 'none'}"

    @property
    def chance(self) -> float:
        """P@1 of a random order, mean of both directions."""
        both = (self.gold, self.gold.inverted())
        found = [chance(np.bincount(gold.query, minlength=gold.n_queries), gold.n_candidates) for gold in both]
        return sum(one["p_at_1"] for one in found) / 2

    def measure(self, model: PreTrainedModel, batch_size: int = 256) -> WordRetrieval:
        """Rank all candidates by cosine in every layer; `batch_size` words per forward pass."""
        states = mean_states(model, [*self.sources, *self.targets], batch_size)  # [layers, sources + targets, width]
        sources, targets = states[:, : len(self.sources)], states[:, len(self.sources) :]
        return WordRetrieval(
            forward=score(sources, targets, self.gold),
            backward=score(targets, sources, self.gold.inverted()),
            cosine=[float(mean_cosine(F.normalize(layer, dim=-1))) for layer in states],
            signature=f"{self.name}|n:{len(self.sources)}x{len(self.targets)}|layers:{len(states)}|pool:mean|v:{__version__}",
        )
