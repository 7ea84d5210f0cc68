"""Which tag names a language."""

from __future__ import annotations

import pytest

from prealign.corpora.records import fields_of_sides, matching


@pytest.mark.parametrize(
    ("language", "tags", "tag"),
    [
        ("en", ["de", "en"], "en"),
        ("en", ["en-US", "en"], "en"),
        ("en", ["EN_us", "en-GB"], "EN_us"),
        ("en", ["eng", "enm", "de"], None),
        ("zh", ["zh-Hant-TW"], "zh-Hant-TW"),
        ("zh-Hant", ["zh", "zh-Hant-TW"], "zh-Hant-TW"),
        ("zh-Hant", ["de", "zh"], "zh"),
        ("zh-Hant", ["zh-Hans"], None),
        ("pt-BR", ["pt_br", "pt"], "pt_br"),
        ("de", [], None),
    ],
)
def test_matching(language: str, tags: list[str], tag: str | None) -> None:
    assert matching(language, tags) == tag


def test_fields_of_sides() -> None:
    assert fields_of_sides(["id", "tgt", "src"], "en", "id") == ("src", "tgt")  # Indonesian is also called id
    assert fields_of_sides(["source", "target", "de", "en"], "en", "de") == ("en", "de")
    assert fields_of_sides(["en"], "en", "en-GB") is None
    assert fields_of_sides(["source", "tgt"], "en", "de") is None
