"""Word links by the simalign package (extra `neural`): one sentence pair at a time, its own code from end to end.

Here to compare with; `neural` has the same methods, in batches.
"""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from prealign.alignment.links import Symmetrisation
from prealign.alignment.neural import read_encoder, told_as_unreadable
from prealign.alignment.parallel_words import Links, ParallelWords, gather_links

METHODS = {"argmax": "inter", "itermax": "itermax"}
"""What the package calls its results; it is asked for them by the first letter, a or i."""


class SimalignAligner:
    """`simalign.SentenceAligner` behind the interface of the others."""

    name = "simalign"
    cased = True

    def __init__(self, encoder: str, layer: int, method: str) -> None:
        """encoder: folder, or name on the hub, of a model whose tokenizer puts one special token at either end."""
        from simalign import SentenceAligner

        self._encoder, self._layer, self._method = encoder, layer, method
        read_encoder(encoder, layer)  # simalign would ask on the terminal whether to run code from the folder
        with told_as_unreadable(encoder):
            self._aligner = SentenceAligner(encoder, matching_methods=method[0], layer=layer)

    def signature(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "version": f"simalign {version('simalign')}",
            "encoder": Path(self._encoder).name if Path(self._encoder).exists() else self._encoder,
            "layer": self._layer,
            "method": self._method,
        }

    def links(self, text: ParallelWords, symmetrisation: Symmetrisation) -> Links:
        """See `aligners.Aligner.links`."""
        return gather_links([self._of_pair(*pair) for pair in text])

    def _of_pair(self, source: list[str], target: list[str]) -> NDArray[np.int32]:
        if not source or not target:
            return np.empty((0, 2), dtype=np.int32)
        links = self._aligner.get_word_aligns(source, target)[METHODS[self._method]]
        return np.array(links, dtype=np.int32).reshape(-1, 2)
