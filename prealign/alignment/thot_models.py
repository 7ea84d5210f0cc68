"""The word aligners of the sil-thot library (extra `thot`): fast_align, IBM 1 to 4, HMM and its own eflomal.

Two models are trained, source to target and target to source. A model starts from those before it in its chain, as IBM
models do (Och and Ney 2003); the last one links the words.
"""

from __future__ import annotations

import logging
from importlib.metadata import version
from itertools import compress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from prealign.alignment.links import Symmetrisation
from prealign.alignment.parallel_words import Links, ParallelWords, WordPair
from prealign.errors import PrealignError

if TYPE_CHECKING:
    from thot.alignment import AlignmentModel

log = logging.getLogger(__name__)

_IBM1, _IBM2, _HMM = ("Ibm1AlignmentModel", 5), ("Ibm2AlignmentModel", 5), ("HmmAlignmentModel", 5)
_IBM3, _IBM4 = ("Ibm3AlignmentModel", 5), ("Ibm4AlignmentModel", 5)
CHAINS: dict[str, tuple[tuple[str, int | None], ...]] = {
    "thot-fast-align": (("FastAlignModel", 5),),
    "thot-ibm1": (_IBM1,),
    "thot-ibm2": (_IBM1, _IBM2),
    "thot-hmm": (_IBM1, _HMM),
    "thot-ibm3": (_IBM1, _HMM, _IBM3),
    "thot-ibm4": (_IBM1, _HMM, _IBM3, _IBM4),
    "thot-eflomal": (("EflomalAlignmentModel", None),),
}
"""For each aligner the models that are trained one after the other, and the rounds of each; none: as it sets itself."""
SEED = 1
"""Of the sampler of thot-eflomal, which otherwise draws a new one in every run."""


class ThotAligner:
    """One of `CHAINS`, in both directions."""

    cased = False

    def __init__(self, name: str, model: Path | None = None, save: Path | None = None) -> None:
        """model: folder of a trained model to apply; save: folder for the trained model."""
        self.name, self._model, self._save = name, model, save

    def signature(self) -> dict[str, Any]:
        rounds = ", ".join(f"{model} {rounds or 'auto'}" for model, rounds in CHAINS[self.name])
        return {"name": self.name, "version": f"sil-thot {version('sil-thot')}", "rounds": rounds}

    def links(self, text: ParallelWords, symmetrisation: Symmetrisation) -> Links:
        """See `aligners.Aligner.links`."""
        directions = text.directions()
        places = np.flatnonzero(text.full()).tolist()
        for direction, put in (("forward", directions.set_forward), ("backward", directions.set_backward)):
            pairs = _as_seen_from(text, direction)
            trained = self._ready(pairs, direction)
            for place, (source, target) in zip(places, pairs, strict=True):
                links = np.argwhere(trained.get_best_alignment(source, target)[1].to_numpy())
                put(place, links[:, ::-1] if direction == "backward" else links)
        return directions.join(symmetrisation)

    def train(self, text: ParallelWords) -> None:
        """See `aligners.Learner.train`."""
        for direction in ("forward", "backward"):
            self._ready(_as_seen_from(text, direction), direction)

    def _ready(self, pairs: list[WordPair], direction: str) -> AlignmentModel:
        """The model of one direction, trained on these pairs or loaded; saved if that was asked for."""
        trained = self._load(self._model / direction) if self._model else train(self.name, pairs)
        if self._save and not trained.print(str(self._save / direction)):
            raise PrealignError(f"sil-thot could not write its model to {self._save}. Is the disk full?")
        return trained

    def _load(self, prefix: Path) -> AlignmentModel:
        from thot import alignment

        trained: AlignmentModel = getattr(alignment, CHAINS[self.name][-1][0])()
        if not trained.load(str(prefix)):
            raise PrealignError(f"{prefix.parent} holds no model of {self.name}, or one that is not whole.")
        return trained


def train(name: str, pairs: list[WordPair]) -> AlignmentModel:
    """Train the models of `CHAINS[name]` one after the other to make the second words of the pairs from the first.

    Returns:
        The last model. Both sides of all pairs must have words.
    """
    from thot import alignment

    trained: Any = None
    for model, rounds in CHAINS[name]:
        log.debug("%s: training %s", name, model)
        kind = getattr(alignment, model)
        if trained is None:
            trained = kind()
            for source, target in pairs:
                trained.add_sentence_pair(source, target)
        else:
            trained = kind(trained)
        if model == "EflomalAlignmentModel":
            trained.seed, trained.deterministic = SEED, True
        trained.start_training()
        for _ in range(trained.scheduled_iterations if rounds is None else rounds):
            trained.train()
        trained.end_training()
    return trained


def _as_seen_from(text: ParallelWords, direction: str) -> list[WordPair]:
    """The sentence pairs with words on both sides; backward: turned around."""
    full = compress(text, text.full())
    return [pair[::-1] for pair in full] if direction == "backward" else list(full)
