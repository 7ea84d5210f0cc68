"""Settings of invented knowledge: facts that stand in the training text of one language and are asked for in others."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Self

from pydantic import Field, model_validator

from prealign.config.fields import Count, InputPath, Settings, refuse


class KnowledgeSettings(Settings):
    """Invented facts for the test of cross-lingual knowledge application (CLKA, docs/evaluation.md); off unless
    `language` is set."""

    language: str | None = None
    """Language that the facts are written in, the source of the dictionary pairs; none: no facts, and no test."""
    entities: Annotated[int, Field(ge=2, le=10_000)] = 16
    """Invented names; each has one object of every relation. A multiple of `candidates`, so that every object is right
    equally often."""
    relations: list[str] = Field(default=["symbol", "password"], min_length=1)
    """Relations by their names in the wording files: colour, symbol, password, number, animal, material."""
    candidates: Annotated[int, Field(ge=2)] = 8
    """Objects of a relation, the first so many of the wording file; a question offers all of them, so chance is
    1 / `candidates`. The files of the package have 8."""
    mentions: Count = 75
    """Sentences that state each fact in the training text, spread over the phrasings of its relation, about 17 tokens
    each; training that reads the text twice sees twice as many. A model of 4 layers learnt 32 facts from 100 of each
    when it read nothing else; between other text it needs more."""
    wordings: dict[str, InputPath] = {}
    """Language -> a wording file of your own (docs/evaluation.md); the package has ar, de, en, fr, ru, sw and zh."""

    @model_validator(mode="after")
    def _balanced(self) -> Self:
        refuse(self._mistakes())
        return self

    def _mistakes(self) -> Iterator[str]:
        if self.language is not None and self.entities % self.candidates:
            yield (
                f"entities ({self.entities}) must be a multiple of candidates ({self.candidates}), so that every "
                "object is right for the same number of names"
            )
        if repeated := {name for name in self.relations if self.relations.count(name) > 1}:
            yield f"relations names {', '.join(sorted(repeated))} twice"
