"""A recipe: every setting with its type, meaning, range and default, and how they must fit together. No torch here.

The text under a field feeds `--help`, the reference page and the commented recipe. A setting exists because a recipe
uses it. Names follow `transformers.TrainingArguments` where it has one. Paths of corpora are relative to the
recipe's `data` folder.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from prealign.config.dictionary import DictionarySettings
from prealign.config.engine import EngineSettings
from prealign.config.evaluation import EvalSettings
from prealign.config.fields import Count, InputPath, Positive, Settings, Share, check_code, resolve
from prealign.config.init import InitSettings, ModelSettings
from prealign.config.pretrain import PretrainSettings


class Language(Settings):
    """One language and its running text."""

    text: list[InputPath] = []
    """Files of running text: .txt (one document per line) or .jsonl (a "text" field), also .gz .xz .bz2 .zst;
    `python-docs` is the documentation of the running Python."""
    share: Positive = 1.0
    """Share of the pretraining tokens that come from this language, relative to the other languages' shares."""
    max_bytes: Count | None = None
    """Read no more than this many bytes of text (whole documents, chosen by hash); none: read all."""
    clone_of: str | None = None
    """Make this language by cloning documents of that language (English-Clone); those documents are then withheld
    from it."""
    clone_document_share: Share = 0.05
    """Share of the cloned language's documents that become this language's text; used with `clone_of`."""


class TokenizerSettings(Settings):
    """The tokenizer that all languages share."""

    path: InputPath | None = None
    """An existing Hugging Face tokenizer folder (or hub name); none: train one with SentencePiece."""
    model: Literal["unigram", "bpe"] = "unigram"
    """SentencePiece model type."""
    vocab_size: Annotated[int, Field(ge=300)] = 4096
    """Number of pieces trained, bytes and special tokens included; a cloned language doubles the pieces afterwards."""
    max_sentences: Count = 1_000_000
    """Train on a deterministic sample of at most this many documents, drawn evenly from all languages."""


class StoreSettings(Settings):
    """The token store: corpora as memory-mapped token ids."""

    validation_share: Annotated[float, Field(gt=0.0, lt=0.5)] = 0.02
    """Share of the documents held out for validation, chosen by document hash."""
    deduplicate: bool = True
    """Drop documents whose text (white space folded) was seen before."""


class ReportSettings(Settings):
    """The page at the end."""

    title: str = "What did alignment buy?"
    """Heading of the page."""


Arm = Literal["joint", "prealign", "init_only", "switching_only"]
ARMS: tuple[Arm, ...] = ("joint", "prealign", "init_only", "switching_only")


class Recipe(Settings):
    """A whole experiment: languages, dictionary, tokenizer, store, model, the two training stages, evaluation,
    report."""

    output: str = "runs/unnamed"
    """Run folder; everything is written under it."""
    data: str = "."
    """Folder that corpus paths are relative to."""
    seed: int = Field(default=1, ge=0)
    """Key of every random draw."""
    arms: list[Arm] = Field(default=["joint", "prealign"], min_length=1)
    """What is compared: joint (no alignment), prealign (init and switching), init_only, switching_only; `--arms
    all` takes all."""
    languages: dict[str, Language]
    """The languages by BCP 47 code."""
    dictionary: DictionarySettings = DictionarySettings()
    tokenizer: TokenizerSettings = TokenizerSettings()
    store: StoreSettings = StoreSettings()
    model: ModelSettings = ModelSettings()
    init: InitSettings = InitSettings()
    pretrain: PretrainSettings = PretrainSettings()
    engine: EngineSettings = EngineSettings()
    eval: EvalSettings = EvalSettings()
    report: ReportSettings = ReportSettings()

    @field_validator("arms", mode="before")
    @classmethod
    def _all_arms(cls, value: Any) -> Any:
        return list(ARMS) if value in ("all", ["all"]) else value

    @field_validator("languages")
    @classmethod
    def _codes(cls, value: dict[str, Language]) -> dict[str, Language]:
        for code, language in value.items():
            check_code(code)
            if language.clone_of is None and not language.text and any(other.text for other in value.values()):
                raise ValueError(f"language {code} has no `text` and is no clone of another; name its files")
            if language.clone_of is not None and (language.clone_of not in value or language.text):
                raise ValueError(
                    f"language {code}: `clone_of` must name another language of the recipe, and then `text` stays empty"
                )
        return value

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        for pair in self.dictionary.pairs:
            for code in (pair.source, pair.target):
                if code not in self.languages:
                    raise ValueError(f"dictionary pair {pair.source}-{pair.target}: {code} is not among the languages")
            is_clone = self.languages[pair.target].clone_of == pair.source
            if not (pair.parallel or pair.path or is_clone):
                raise ValueError(f"dictionary pair {pair.source}-{pair.target} needs `parallel` text or a `path`")
        if len({(pair.source, pair.target) for pair in self.dictionary.pairs}) < len(self.dictionary.pairs):
            raise ValueError("a dictionary pair is named twice")
        targets = {pair.target for pair in self.dictionary.pairs}
        if unknown := set(self.pretrain.switching.language_ratios) - targets:
            raise ValueError(
                f"pretrain.switching.language_ratios: {', '.join(sorted(unknown))} is the target of no dictionary pair"
            )
        rows, per_device = self.pretrain.global_batch_rows, self.pretrain.per_device_train_batch_size
        if rows % min(rows, per_device):
            raise ValueError(
                f"pretrain.global_batch_rows ({rows}) must be a multiple of per_device_train_batch_size ({per_device})"
            )
        return self

    @property
    def has_text(self) -> bool:
        """Whether there is running text; without any the recipe is good for `build-dict` only."""
        return any(language.text for language in self.languages.values())

    def input(self, path: str) -> Path:
        """Where a corpus path of this recipe lies."""
        return resolve(path, self.data)
