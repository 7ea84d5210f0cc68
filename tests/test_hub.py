"""Names on the hub that cannot be had; the hub itself is never asked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import huggingface_hub
import pytest

from prealign import hub
from prealign.errors import PrealignError
from prealign.hub import refuse_unreachable

NAME = "some-org/some-model"


@pytest.fixture(autouse=True)
def asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """Addresses that are asked, none of which answers; the cache is empty and nothing was asked before."""
    seen: list[str] = []

    def no_network(url: str, timeout: float) -> Any:
        seen.append(url)
        raise RuntimeError("Name or service not known")

    monkeypatch.setattr(huggingface_hub, "get_hf_file_metadata", no_network)
    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", lambda *_: None)
    monkeypatch.chdir(tmp_path)
    hub._ask.cache_clear()
    return seen


def test_a_name_that_the_hub_does_not_give_is_told_after_one_question(asked: list[str]) -> None:
    with pytest.raises(PrealignError, match=rf"{NAME} is no folder, and the .* hub .*: Name or service not known"):
        refuse_unreachable(NAME)
    assert len(asked) == 1
    assert asked[0].endswith(f"/{NAME}/resolve/main/config.json")


def test_offline_asks_nothing(asked: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(PrealignError, match="not in the hub's cache, and the hub may not be asked"):
        refuse_unreachable(NAME)
    assert asked == []


def test_folders_paths_and_what_is_in_the_cache_are_not_asked_for(
    asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    Path(NAME).mkdir(parents=True)
    refuse_unreachable(NAME)
    refuse_unreachable("/models/mine")  # no name on a hub: the loader tells
    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", lambda name, file: f"/cache/{name}/{file}")
    refuse_unreachable("other-org/other-model")
    assert asked == []


def test_a_model_without_config_json_is_left_to_the_loader(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_such_file(url: str, timeout: float) -> Any:
        raise huggingface_hub.errors.EntryNotFoundError("404")

    monkeypatch.setattr(huggingface_hub, "get_hf_file_metadata", no_such_file)
    refuse_unreachable(NAME)
