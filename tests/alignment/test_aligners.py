"""The switch: what it opens, what it refuses before any work, and that every aligner here finds known links."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from prealign.alignment import aligners
from prealign.alignment.aligners import INSTALL_LINES, open_aligner
from prealign.alignment.parallel_words import Links, ParallelWords
from prealign.alignment.statistical import align
from prealign.alignment.thot_models import CHAINS
from prealign.config.dictionary import ALIGNERS, KEEPS_A_MODEL, DictionarySettings
from prealign.errors import PrealignError

PAGE = Path(__file__).parents[2] / "docs" / "aligners.md"


def settings(aligner: str, **more: object) -> DictionarySettings:
    return DictionarySettings.model_validate({"aligner": aligner, **more})


def test_the_default_is_the_built_in_one(known_text: ParallelWords, error_rate) -> None:
    aligner = open_aligner(DictionarySettings())
    found = aligner.links(known_text, "grow-diag")
    plain = align(list(known_text), symmetrisation="grow-diag")
    assert all(map(np.array_equal, np.split(found.links, found.offsets[1:-1]), plain))
    assert error_rate(found) < 0.1
    assert aligner.signature()["name"] == "statistical"


def test_models_are_kept_by_the_built_in_aligner_sil_thot_and_eflomal() -> None:
    assert set(KEEPS_A_MODEL) == {"statistical", "eflomal", *CHAINS}


@pytest.mark.parametrize("name", CHAINS)
def test_sil_thot_finds_known_links_and_keeps_its_models(
    name: str, known_text: ParallelWords, error_rate, tmp_path: Path
) -> None:
    pytest.importorskip("thot", reason="sil-thot is not installed (extra `thot`)")
    saving = open_aligner(settings(name), save=tmp_path / "model")
    found = saving.links(known_text, "intersect")
    assert error_rate(found) < (0.5 if name == "thot-ibm1" else 0.2)
    assert saving.signature()["name"] == name
    assert saving.signature()["version"].startswith("sil-thot 3")

    again = open_aligner(settings(name), model=tmp_path / "model").links(known_text, "intersect")
    assert np.array_equal(found.links, again.links)

    union = open_aligner(settings(name), model=tmp_path / "model").links(known_text, "union")
    assert set(map(tuple, found.links.tolist())) <= set(map(tuple, union.links.tolist()))

    with pytest.raises(PrealignError, match=f"was trained with the aligner {name}, but `aligner` is eflomal"):
        aligners._check_model(tmp_path / "model", "eflomal")


def test_a_model_links_text_that_it_was_not_trained_on(known_text: ParallelWords, tmp_path: Path) -> None:
    pytest.importorskip("thot", reason="sil-thot is not installed (extra `thot`)")
    open_aligner(settings("thot-hmm"), save=tmp_path).links(known_text, "intersect")
    new = ParallelWords.of([(["small", "tree"], ["arbre", "petit"]), (["unseen", "dog"], ["chien", "nouveau"])])
    found = open_aligner(settings("thot-hmm"), model=tmp_path).links(new, "intersect")
    assert found.links[: found.offsets[1]].tolist() == [[0, 1], [1, 0]]
    assert [1, 0] in found.links[found.offsets[1] :].tolist()


def test_a_missing_aligner_is_told_with_the_line_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aligners, "find_spec", lambda package: None)
    monkeypatch.setattr(aligners, "find_program", lambda program: None)
    missing = {name for name in ALIGNERS if not aligners.is_installed(name)}
    assert missing == set(INSTALL_LINES) == set(ALIGNERS) - {"statistical", "neural", "links"}
    for name, line in (("thot-hmm", "pip install 'prealign[thot]'"), ("eflomal", "pip install eflomal")):
        with pytest.raises(PrealignError, match="is not installed") as told:
            open_aligner(settings(name))
        assert str(told.value).endswith(f"Run: {line}")


def test_what_cannot_be_is_refused_before_work(tmp_path: Path) -> None:
    with pytest.raises(PrealignError, match="The aligner links keeps no model; these do: statistical, thot-fast-align"):
        open_aligner(settings("links"), save=tmp_path)
    with pytest.raises(PrealignError, match="holds no trained aligner: it has no aligner"):
        aligners._check_model(tmp_path, "thot-hmm")
    for wrong, sentence in (
        ({"aligner": "neural"}, "the aligner neural needs `encoder`"),
        ({"aligner": "simalign", "encoder": "x", "encoder_method": "softmax"}, "simalign has argmax and itermax"),
        ({"aligner": "links", "symmetrisation": "union"}, "links gives links that are joined already"),
        (
            {"aligner": "neural", "encoder": "x", "encoder_method": "itermax", "symmetrisation": "union"},
            "neural gives links that are joined already",
        ),
    ):
        with pytest.raises(ValueError, match=sentence):
            DictionarySettings.model_validate(wrong)


def test_empty_text_has_no_links() -> None:
    nothing = ParallelWords.of([([], []), (["a"], [])])
    for name in ("statistical", "thot-hmm"):
        if aligners.is_installed(name):  # type: ignore[arg-type]
            found = open_aligner(settings(name)).links(nothing, "union")
            assert found.offsets.tolist() == [0, 0, 0]
            assert isinstance(found, Links)


def test_the_python_of_the_page_runs() -> None:
    (program,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    names: dict[str, Any] = {}
    exec(compile(program, str(PAGE), "exec"), names)
    assert [0, 0] in names["first"].tolist()  # the, das


@pytest.mark.parametrize("card", ["[]", "{}"])
def test_a_card_that_names_no_aligner_is_told(card: str, tmp_path: Path) -> None:
    (tmp_path / "aligner.json").write_text(card)
    with pytest.raises(PrealignError, match=r"aligner\.json does not say which aligner was trained"):
        open_aligner(settings("statistical"), model=tmp_path)
