"""The E-step in torch against the compiled one: round by round the same sums, at the end the same links."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from prealign import draws
from prealign.alignment import expectation_torch
from prealign.alignment.aligners import open_aligner
from prealign.alignment.expectation_torch import e_step_on
from prealign.alignment.parallel_words import ParallelWords
from prealign.alignment.statistical import StatisticalAligner
from prealign.config.dictionary import DictionarySettings
from prealign.errors import PrealignError

DEVICES = [
    "cpu",
    pytest.param(
        "cuda",
        marks=[pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")],
    ),
]


@pytest.fixture(scope="module")
def text() -> ParallelWords:
    """Sentences of 0 to 30 words, most of them rare; a few repeated, left out, or moved in the translation."""
    generator = draws.generator("test expectation")
    pairs: list[tuple[list[str], list[str]]] = [(["lonely"], []), ([], ["seul"])]
    for _ in range(600):
        words = np.minimum(generator.zipf(1.4, generator.integers(0, 31)), 500)
        kept = words[generator.random(len(words)) > 0.1]
        moved = kept[np.argsort(np.arange(len(kept)) + generator.normal(0.0, 1.0, len(kept)))]
        pairs.append(([f"w{word}" for word in words], [f"{word}x" for word in moved]))
    return ParallelWords.of(pairs)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("cells_per_batch", [200, 20_000])
def test_trains_and_links_as_the_compiled_one_does(
    text: ParallelWords, device: str, cells_per_batch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(expectation_torch, "CELLS_PER_BATCH", cells_per_batch)
    compiled, other = StatisticalAligner(text), StatisticalAligner(text, e_step_on(device))
    compiled.train()
    other.train()
    wanted, found = compiled._parameters, other._parameters
    # float32 sums in another order; a mass is 1e-3 at least, and half a dozen of those near it are off by 4e-6
    np.testing.assert_allclose(found.lexicon.masses, wanted.lexicon.masses, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(found.jump_weights, wanted.jump_weights, rtol=1e-3, atol=1e-6)
    for of_compiled, of_other in zip(wanted.made_by_none, found.made_by_none):
        # none makes what the makers leave of 1, so its error does not shrink with it
        np.testing.assert_allclose(of_other, of_compiled, rtol=1e-3, atol=2e-5)
    for of_compiled, of_other in zip(compiled.directions(), other.directions()):
        assert (of_compiled == of_other).mean() >= 0.999
        assert (of_compiled >= 0).mean() > 0.5


@pytest.mark.parametrize("device", DEVICES)
def test_a_model_is_applied_alike(text: ParallelWords, device: str) -> None:
    trained = StatisticalAligner(text)
    trained.train()
    new = ParallelWords.of([(["w1", "unseen", "w2"], ["2x", "1x", "nouveau"]), (["w3"], []), ([], ["x"])])
    compiled, other = StatisticalAligner(new), StatisticalAligner(new, e_step_on(device))
    for aligner in (compiled, other):
        aligner.adopt(trained.model())
    assert [links.tolist() for links in compiled.directions()] == [links.tolist() for links in other.directions()]


def test_empty_text_and_a_missing_device() -> None:
    nothing = ParallelWords.of([([], []), (["a"], [])])
    aligner = StatisticalAligner(nothing, e_step_on("cpu"))
    aligner.train()
    assert [links.tolist() for links in aligner.directions()] == [[], [-1]]
    if not torch.cuda.is_available():
        with pytest.raises(PrealignError, match="torch sees no CUDA device here"):
            open_aligner(DictionarySettings(aligner_device="cuda"))
    with pytest.raises(ValidationError, match="`aligner_device` is for the aligner statistical"):
        DictionarySettings(aligner="thot-hmm", aligner_device="cuda")
