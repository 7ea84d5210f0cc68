"""Tokenizers trained once for all tests of this folder, on a part of the Python documentation."""

from __future__ import annotations

from pathlib import Path

import pytest

from prealign.config.settings import TokenizerSettings
from prealign.corpora.clone import has_clone_characters
from prealign.corpora.python_docs import python_documents
from prealign.tokenizer.train import train_tokenizer


@pytest.fixture(scope="session")
def documents() -> list[str]:
    """English documents with line ends, code and indentation, without characters of the clone."""
    return [document for document in python_documents() if not has_clone_characters(document)][::4]


@pytest.fixture(scope="session")
def trained(documents: list[str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Tokenizer folders by model type, 2,000 pieces each."""
    folders = {}
    for model in ("unigram", "bpe"):
        folders[model] = tmp_path_factory.mktemp(model)
        settings = TokenizerSettings.model_validate({"model": model, "vocab_size": 2000})
        train_tokenizer(documents, settings, folders[model])
    return folders
