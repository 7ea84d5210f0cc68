"""A recipe: every setting with its type, meaning, range and default. No torch here.

The text under a field feeds `--help`, the reference page and the commented recipe. A setting exists because a recipe
uses it. Names follow `transformers.TrainingArguments` where it has one. Paths of corpora are relative to the
recipe's `data` folder.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, PrivateAttr, field_validator, model_validator

from prealign.config.arms import FOUR_ARMS, PLANS, Arm
from prealign.config.dictionary import DictionarySettings
from prealign.config.engine import EngineSettings
from prealign.config.evaluation import EvalSettings
from prealign.config.fields import Count, ModelPath, Positive, Settings, Share, TextSource, refuse, resolve
from prealign.config.init import InitSettings, ModelSettings
from prealign.config.knowledge import KnowledgeSettings
from prealign.config.pretrain import PretrainSettings
from prealign.config.together import mistakes, mistakes_of_languages
from prealign.config.translations import TranslationSettings
from prealign.hub import HUB_NAME, cached_file, fetched_file, is_on_hub


class Language(Settings):
    """One language and its running text."""

    text: list[TextSource] = []
    """Running text: files .txt and .jsonl (also with .gz .xz .bz2 .zst after it), .parquet, and folders that the
    `datasets` library saved (docs/data.md); `python-docs` is the documentation of the running Python."""
    documents: Literal["line", "blank_line"] = "line"
    """What ends a document in .txt files: the end of the line, or a blank line."""
    text_field: str = "text"
    """Field or column of the text in the other kinds of file."""
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

    path: ModelPath | None = None
    """An existing Hugging Face tokenizer folder (or hub name); none: train one with SentencePiece."""
    model: Literal["unigram", "bpe"] = "unigram"
    """SentencePiece model type."""
    vocab_size: Annotated[int, Field(ge=300)] = 4096
    """Number of pieces trained, bytes and special tokens included; a cloned language doubles the pieces afterwards."""
    max_sentences: Count = 1_000_000
    """Train on a deterministic sample of at most this many documents, drawn evenly from all languages."""
    extend_to: Count | None = None
    """Give the tokenizer of `path` pieces for the languages `extend_for`, up to this many ids in all; none: take it as
    it is (docs/models.md)."""
    extend_for: list[str] = []
    """Languages of the recipe that the tokenizer of `path` was not made for; the others keep their pieces."""

    @model_validator(mode="after")
    def _extends_something(self) -> Self:
        if self.extend_to is not None and not (self.path and self.extend_for):
            raise ValueError(
                "extend_to needs path, the tokenizer to extend, and extend_for, the languages to extend it for"
            )
        if self.extend_for and self.extend_to is None:
            raise ValueError("extend_for needs extend_to, the number of ids that the tokenizer should have")
        return self


class StoreSettings(Settings):
    """The token store: corpora as memory-mapped token ids."""

    validation_share: Annotated[float, Field(gt=0.0, lt=0.5)] = 0.02
    """Share of the documents held out for validation, chosen by document hash."""
    deduplicate: bool = True
    """Drop documents whose text (white space folded) was seen before."""
    workers: Annotated[int, Field(ge=0)] = 0
    """Processes that tokenise; 0: one for each core. The store is the same with any number."""


class ReportSettings(Settings):
    """The page at the end."""

    title: str = "What did alignment buy?"
    """Heading of the page."""


class Recipe(Settings):
    """A whole experiment: languages, dictionary, tokenizer, store, model, the two training stages, evaluation,
    report."""

    output: str = "runs/unnamed"
    """Run folder; everything is written under it."""
    data: str = "."
    """Folder that corpus paths are relative to. A file on the Hugging Face hub is named
    hf://datasets/OWNER/NAME/FILE in place of a path (docs/data.md)."""
    seed: int = Field(default=1, ge=0)
    """Key of every random draw; with `seeds`, of those that make the data."""
    seeds: list[Annotated[int, Field(ge=0)]] = []
    """Train every arm once with each of these: initial weights, order of rows, switched words and masks are drawn anew,
    the data (dictionary, tokenizer, store, test sets) stay those of `seed`. None: once, with `seed`."""
    arms: list[Arm] = Field(default=["joint", "prealign"], min_length=1)
    """What is compared: joint (no alignment), prealign (init and switching), init_only, switching_only (`--arms all`
    takes these four); during and after (words are aligned while or after the text is learnt, where init_only aligns
    them before), both_sides (prealign, but switched words are predicted as well), full_alignment (joint, where a piece
    and its clone are one id: the upper bound of a cloned language); with the pairs of `translations` tlm, xlco and
    infoxlm (joint and one objective over sentence pairs more each), pairs_as_text (joint and the same sentences),
    words_and_sentences (xlco and during at once)."""
    languages: dict[str, Language]
    """The languages by BCP 47 code."""
    dictionary: DictionarySettings = DictionarySettings()
    tokenizer: TokenizerSettings = TokenizerSettings()
    store: StoreSettings = StoreSettings()
    knowledge: KnowledgeSettings = KnowledgeSettings()
    model: ModelSettings = ModelSettings()
    init: InitSettings = InitSettings()
    pretrain: PretrainSettings = PretrainSettings()
    translations: TranslationSettings = TranslationSettings()
    engine: EngineSettings = EngineSettings()
    eval: EvalSettings = EvalSettings()
    report: ReportSettings = ReportSettings()
    _fetches: bool = PrivateAttr(default=True)

    @field_validator("arms", mode="before")
    @classmethod
    def _all_arms(cls, value: Any) -> Any:
        return list(FOUR_ARMS) if value in ("all", ["all"]) else value

    @field_validator("arms", "seeds")
    @classmethod
    def _named_once(cls, value: list[Any]) -> list[Any]:
        if repeated := [str(item) for place, item in enumerate(value) if item in value[:place]]:
            raise ValueError(f"{', '.join(dict.fromkeys(repeated))} is named twice; each seed trains every arm once")
        return value

    @field_validator("languages")
    @classmethod
    def _codes(cls, value: dict[str, Language]) -> dict[str, Language]:
        refuse(mistakes_of_languages(value))
        return value

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        refuse(mistakes(self))
        return self

    @property
    def training_seeds(self) -> list[int]:
        """The seeds that every arm is trained with."""
        return self.seeds or [self.seed]

    @property
    def training_seed(self) -> int:
        """Key of every draw of a training, in a recipe that has one training of each arm (`with_seed`)."""
        assert len(self.training_seeds) == 1, "take with_seed first"
        return self.training_seeds[0]

    def with_seed(self, seed: int) -> Recipe:
        """The part of the experiment that is trained with one of its seeds; its folders stay the same."""
        return self if self.training_seeds == [seed] else self.model_copy(update={"seeds": [seed]})

    @property
    def reads_sentences(self) -> bool:
        """Whether a stage reads linked sentence pairs."""
        return self.init.reads_sentences or self.eval.context_sentences > 0

    @property
    def reads_translations(self) -> bool:
        """Whether an arm is trained on translation pairs."""
        return any(PLANS[arm].translations != "none" for arm in self.arms)

    @property
    def has_text(self) -> bool:
        """Whether there is running text; without any the recipe is good for `build-dict` only."""
        return any(language.text for language in self.languages.values())

    def input(self, path: str) -> Path:
        """Where a file of this recipe lies; one on the hub in the hub's cache, to which it is fetched if need be.

        Raises:
            PrealignError: the hub does not give it.
        """
        if not is_on_hub(path):
            return resolve(path, self.data)
        return fetched_file(path) if self._fetches else (cached_file(path) or Path(path))

    @property
    def fetches(self) -> bool:
        """Whether `input` fetches files from the hub."""
        return self._fetches

    def unfetched(self) -> Recipe:
        """The same recipe for planning: a file that is on the hub only is a path that does not exist."""
        planned = self.model_copy()
        planned._fetches = False
        return planned

    def model_place(self, path: str) -> str:
        """Where a model or tokenizer of this recipe is: a folder; or, if there is none, its name on the hub."""
        folder = self.input(path)
        return path if HUB_NAME.fullmatch(path) and not folder.exists() else str(folder)
