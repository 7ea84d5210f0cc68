"""Which documents belong to which language of a recipe."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from prealign.config.settings import Recipe
from prealign.corpora.clone import clone
from prealign.corpora.drops import Drops
from prealign.corpora.language_text import language_documents, n_bytes
from prealign.errors import PrealignError

DOCUMENTS = [f"Document {number} tells of {number * 7 % 13} things." for number in range(2000)]
MakeRecipe = Callable[..., Recipe]


@pytest.fixture
def make_recipe(tmp_path: Path) -> MakeRecipe:
    """A recipe whose English is DOCUMENTS in two files, the first file's documents in the second once more."""
    (tmp_path / "a.txt").write_text("\n".join(DOCUMENTS[:1000]), encoding="utf-8")
    repeated = [text.replace(" ", "  ") for text in DOCUMENTS[:1000]]
    (tmp_path / "b.txt").write_text("\n".join(repeated + DOCUMENTS[1000:]), encoding="utf-8")

    def make(clone_share: float | None = None, seed: int = 1, deduplicate: bool = True, **english: Any) -> Recipe:
        languages: dict[str, Any] = {"en": {"text": ["a.txt", "b.txt"], **english}}
        if clone_share is not None:
            languages["en-x-clone"] = {"clone_of": "en", "clone_document_share": clone_share}
        return Recipe.model_validate(
            {"data": str(tmp_path), "seed": seed, "languages": languages, "store": {"deduplicate": deduplicate}}
        )

    return make


def test_sources_follow_each_other_and_repeated_documents_go(make_recipe: MakeRecipe) -> None:
    drops = Drops()
    assert list(language_documents(make_recipe(), "en", drops)) == DOCUMENTS
    assert drops.counts == {"duplicate documents": 1000}
    assert len(list(language_documents(make_recipe(deduplicate=False), "en", drops))) == 3000


def test_a_clone_gets_documents_that_its_original_does_not(make_recipe: MakeRecipe) -> None:
    recipe = make_recipe(clone_share=0.1)
    drops = Drops()
    english = list(language_documents(recipe, "en", drops))
    cloned = list(language_documents(recipe, "en-x-clone", Drops()))
    assert sorted(english + [clone(text) for text in cloned]) == sorted(DOCUMENTS)
    assert 150 < len(cloned) < 250
    assert drops.counts["documents given to en-x-clone"] == len(cloned)
    other_seed = list(language_documents(make_recipe(clone_share=0.1, seed=2), "en-x-clone", Drops()))
    assert cloned != other_seed


def test_documents_with_characters_of_the_clone_go_only_where_there_is_one(
    tmp_path: Path, make_recipe: MakeRecipe
) -> None:
    (tmp_path / "b.txt").write_text("The ‘quoted’ word.\nThe “quoted” word.", encoding="utf-8")
    drops = Drops()
    assert "The ‘quoted’ word." in language_documents(make_recipe(), "en", Drops())
    with_clone = list(language_documents(make_recipe(clone_share=0.0), "en", drops))
    assert "The “quoted” word." in with_clone
    assert "The ‘quoted’ word." not in with_clone
    assert drops.counts["documents with characters of the clone's alphabet"] == 1


@pytest.mark.parametrize("limit", [200, 5_000, 50_000, 10**9])
def test_max_bytes_is_kept_and_nearly_used(make_recipe: MakeRecipe, limit: int) -> None:
    recipe = make_recipe(max_bytes=limit)
    drops = Drops()
    documents = list(language_documents(recipe, "en", drops))
    size = sum(n_bytes(recipe, "en", text) for text in documents)
    assert size <= limit
    assert size > limit - 200 or documents == DOCUMENTS
    assert drops.counts.get("documents beyond max_bytes", 0) == len(DOCUMENTS) - len(documents)
    assert drops.counts["duplicate documents"] == 1000  # counted once, though the sources are read twice


def test_more_bytes_add_documents_and_keep_the_chosen_ones(make_recipe: MakeRecipe) -> None:
    few = set(language_documents(make_recipe(max_bytes=5_000), "en", Drops()))
    many = set(language_documents(make_recipe(max_bytes=20_000), "en", Drops()))
    assert few < many


def test_max_bytes_below_every_document_is_a_mistake(make_recipe: MakeRecipe) -> None:
    with pytest.raises(PrealignError, match=r"languages\.en\.max_bytes is 10, and no document fits"):
        list(language_documents(make_recipe(max_bytes=10), "en", Drops()))


def test_bytes_of_a_clone_are_those_of_its_original(make_recipe: MakeRecipe) -> None:
    recipe = make_recipe(clone_share=0.1)
    assert n_bytes(recipe, "en", "don’t") == 7
    assert n_bytes(recipe, "en-x-clone", clone("don’t")) == 7


def test_a_missing_file_is_named(tmp_path: Path, make_recipe: MakeRecipe) -> None:
    (tmp_path / "b.txt").unlink()
    with pytest.raises(PrealignError, match=r"b\.txt does not exist"):
        list(language_documents(make_recipe(), "en", Drops()))


def test_python_docs_is_a_source() -> None:
    recipe = Recipe.model_validate({"languages": {"en": {"text": ["python-docs"], "max_bytes": 100_000}}})
    documents = list(language_documents(recipe, "en", Drops()))
    assert 90_000 < sum(n_bytes(recipe, "en", text) for text in documents) <= 100_000
