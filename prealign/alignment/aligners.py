"""The word aligners behind one switch, the setting `dictionary.aligner`.

`open_aligner` gives the one that the settings name, ready to link, or ends with the line that installs it: it is called
before a corpus is read. Every aligner gives the links of a whole corpus; all that have two directions (the built-in
one, sil-thot's, the programs, and the neural one's argmax) join them by `links.symmetrise`.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

from prealign import files
from prealign.alignment.bitext import Side
from prealign.alignment.cooccurrence import PairTable
from prealign.alignment.expectation import CompiledEStep, EStep
from prealign.alignment.given_links import GivenLinks
from prealign.alignment.links import Symmetrisation
from prealign.alignment.model import Model
from prealign.alignment.parallel_words import Links, ParallelWords
from prealign.alignment.programs import PROGRAMS, Eflomal, FastAlign, find_program
from prealign.alignment.statistical import StatisticalAligner
from prealign.alignment.thot_models import CHAINS, ThotAligner
from prealign.config.dictionary import KEEPS_A_MODEL, AlignerName, DictionarySettings
from prealign.errors import PrealignError

MODEL_CARD = "aligner.json"
"""File that says whose model a folder holds."""
PARAMETERS = "parameters"
"""Folder of what the built-in aligner has learnt."""
INSTALL_LINES: dict[str, str] = {
    **dict.fromkeys(CHAINS, "pip install 'prealign[thot]'"),
    "simalign": "pip install 'prealign[neural]'",
    "eflomal": "pip install eflomal",
    "fast_align": "git clone https://github.com/clab/fast_align && cmake -S fast_align -B fast_align/build "
    "&& cmake --build fast_align/build && export PATH=$PWD/fast_align/build:$PATH",
}
"""For each aligner that may be missing, the line that installs it."""


class Aligner(Protocol):
    """What all aligners have in common."""

    @property
    def name(self) -> str:
        """As the setting `aligner` names it."""

    @property
    def cased(self) -> bool:
        """Whether it wants the words as they are spelt; others get them folded, "The" and "the" as one."""

    def signature(self) -> dict[str, Any]:
        """Name, version and options, for the dictionary's card."""

    def links(self, text: ParallelWords, symmetrisation: Symmetrisation) -> Links:
        """Link the words of a corpus; symmetrisation: how two directions are joined."""


@runtime_checkable
class Learner(Aligner, Protocol):
    """An aligner that keeps what it learns (`KEEPS_A_MODEL`)."""

    def train(self, text: ParallelWords) -> None:
        """Learn from a corpus, and write the model to the folder that `open_aligner` got as `save`."""


def open_aligner(settings: DictionarySettings, model: Path | None = None, save: Path | None = None) -> Aligner:
    """The aligner that the settings name.

    Args:
        model: folder of a trained model of this aligner, to apply instead of training.
        save: folder to write the trained model to.
    Raises:
        PrealignError: it is not installed; it keeps no model; `model` is another aligner's.
    """
    name = settings.aligner
    if not is_installed(name):
        raise PrealignError(f"The aligner {name} is not installed. Run: {INSTALL_LINES[name]}")
    if (model or save) and name not in KEEPS_A_MODEL:
        raise PrealignError(f"The aligner {name} keeps no model; these do: {', '.join(KEEPS_A_MODEL)}.")
    if model is not None:
        _check_model(model, name)
    if name in CHAINS:
        found: Aligner = ThotAligner(name, model, save)
    elif name == "eflomal":
        found = Eflomal(name, model, save)
    elif name == "fast_align":
        found = FastAlign(name)
    elif name == "links":
        found = GivenLinks()
    elif name == "statistical":
        found = _Statistical(settings.aligner_device, model, save)
    else:
        found = _of_encoder(settings)
    if save is not None:
        save.mkdir(parents=True, exist_ok=True)
        files.write_json(save / MODEL_CARD, found.signature())
    return found


def is_installed(name: AlignerName) -> bool:
    """Whether an aligner can run here; nothing is imported to find out."""
    if name in PROGRAMS:
        return find_program(PROGRAMS[name]) is not None
    if name in CHAINS:
        return find_spec("thot") is not None
    return name != "simalign" or find_spec("simalign") is not None


class _Statistical:
    """The built-in aligner; see `statistical`."""

    name = "statistical"
    cased = False

    def __init__(self, device: Literal["cpu", "cuda"], model: Path | None, save: Path | None) -> None:
        self._e_step: Callable[[Side, Side, PairTable], EStep] = CompiledEStep
        if device == "cuda":
            from prealign.alignment.expectation_torch import e_step_on

            self._e_step = e_step_on(device)
        self._model = None if model is None else Model.load(model / PARAMETERS)
        self._save = save

    def signature(self) -> dict[str, Any]:
        return StatisticalAligner.signature()

    def links(self, text: ParallelWords, symmetrisation: Symmetrisation) -> Links:
        return Links(*self._ready(text).links(symmetrisation))

    def train(self, text: ParallelWords) -> None:
        self._ready(text)

    def _ready(self, text: ParallelWords) -> StatisticalAligner:
        """The aligner for this corpus, trained on it or with the model applied."""
        aligner = StatisticalAligner(text, self._e_step)
        if self._model is None:
            aligner.train()
        else:
            aligner.adopt(self._model)
        if self._save is not None:
            aligner.model().save(self._save / PARAMETERS)
        return aligner


def _of_encoder(settings: DictionarySettings) -> Aligner:
    """The aligners whose encoder needs torch, imported only here."""
    assert settings.encoder is not None  # the settings see to it
    if settings.aligner == "simalign":
        from prealign.alignment.simalign_package import SimalignAligner

        return SimalignAligner(settings.encoder, settings.encoder_layer, settings.encoder_method)
    from prealign.alignment.neural import NeuralAligner

    return NeuralAligner(settings.encoder, settings.encoder_layer, settings.encoder_method)


def _check_model(folder: Path, name: str) -> None:
    if not (folder / MODEL_CARD).is_file():
        raise PrealignError(
            f"{folder} holds no trained aligner: it has no {MODEL_CARD}. Name the folder `aligner` of a dictionary "
            "that was built with save_model."
        )
    card = files.read_json(folder / MODEL_CARD)
    if not isinstance(card, dict) or "name" not in card:
        raise PrealignError(
            f"{folder / MODEL_CARD} does not say which aligner was trained. Copy the folder again or train anew."
        )
    if (trained := card["name"]) != name:
        raise PrealignError(f"{folder} was trained with the aligner {trained}, but `aligner` is {name}.")
