"""A recipe: every setting with its type, meaning, range and default, and how they must fit together. No torch here.

The text under a field feeds `--help`, the reference page and the commented recipe. A setting exists because a recipe
uses it. Names follow `transformers.TrainingArguments` where it has one. Paths of corpora are relative to the
recipe's `data` folder.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from prealign.config.arms import FOUR_ARMS, PLANS, Arm
from prealign.config.dictionary import DictionarySettings
from prealign.config.engine import EngineSettings
from prealign.config.evaluation import EvalSettings
from prealign.config.fields import HUB_NAME, Count, InputPath, ModelPath, Positive, Settings, Share, check_code, resolve
from prealign.config.init import InitSettings, ModelSettings
from prealign.config.knowledge import KnowledgeSettings
from prealign.config.pretrain import PretrainSettings
from prealign.config.translations import TranslationSettings


class Language(Settings):
    """One language and its running text."""

    text: list[InputPath] = []
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
    """Folder that corpus paths are relative to."""
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
    infoxlm (joint and one objective over sentence pairs more each), pairs_as_text (joint and the same sentences)."""
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

    @field_validator("arms", mode="before")
    @classmethod
    def _all_arms(cls, value: Any) -> Any:
        return list(FOUR_ARMS) if value in ("all", ["all"]) else value

    @field_validator("seeds")
    @classmethod
    def _named_once(cls, value: list[int]) -> list[int]:
        if repeated := [str(seed) for place, seed in enumerate(value) if seed in value[:place]]:
            raise ValueError(f"{', '.join(dict.fromkeys(repeated))} is named twice; each seed trains every arm once")
        return value

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
        if unknown := set(self.tokenizer.extend_for) - set(self.languages):
            raise ValueError(f"tokenizer.extend_for: {', '.join(sorted(unknown))} is not among the languages")
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
        for name, stage in (("init", self.init), ("pretrain", self.pretrain)):
            warmup = stage.optimizer.warmup_steps
            if 1 <= warmup >= stage.max_steps > 0:
                raise ValueError(
                    f"{name}.optimizer.warmup_steps ({warmup:g}) leaves nothing of {name}.max_steps "
                    f"({stage.max_steps:,}); take fewer, or a share below 1"
                )
        given = [f"languages.{code}.share" for code, language in self.languages.items() if language.share != 1.0]
        if self.pretrain.sampling_alpha is not None and given:
            raise ValueError(
                f"pretrain.sampling_alpha computes the languages' shares from their sizes; remove it, or {given[0]}"
            )
        self._check_arms()
        self._check_alignment()
        self._check_kind()
        self._check_knowledge()
        self._check_sentences()
        clones = {code: language.clone_of for code, language in self.languages.items()}
        if mistakes := list(self.translations.mistakes(self.arms, clones)):
            raise ValueError(". Also: ".join(mistakes))
        return self

    def _check_arms(self) -> None:
        """What single arms ask of the other sections."""
        if "full_alignment" not in self.arms:
            return
        if not any(language.clone_of for language in self.languages.values()):
            raise ValueError(
                "arm full_alignment makes one id of a piece and its clone, so it needs a language with `clone_of`; "
                "real languages have no such pieces"
            )
        if self.init.lm_on == "words" and self.init.lm_weight:
            raise ValueError(
                "arm full_alignment reads running text in stage 1, where a word and its clone would be one, but "
                "init.lm_on is words"
            )

    def _check_alignment(self) -> None:
        """What stage 1 asks of the other sections."""
        init = self.init
        init.check_loss()
        if unknown := set(init.guard) - set(self.languages):
            raise ValueError(f"init.guard: {', '.join(sorted(unknown))} is not among the languages")
        if init.stop_at is not None and not (self.eval.word_retrieval and self.dictionary.held_out_share):
            raise ValueError(
                "init.stop_at is a P@1 of held-out words, so it needs eval.word_retrieval and a "
                "dictionary.held_out_share above 0"
            )
        timed = [arm for arm in self.arms if PLANS[arm].alignment != "none"]
        if timed and init.max_steps > self.pretrain.max_steps:
            raise ValueError(
                f"arm {timed[0]} brings the {init.max_steps:,} batches of words of init.max_steps in pretraining, one "
                f"a step, but pretrain.max_steps is {self.pretrain.max_steps:,}"
            )
        if self.reads_sentences and not (
            self.dictionary.keep_links and any(pair.path is None for pair in self.dictionary.pairs)
        ):
            setting = "init.context_sentences_per_step" if init.reads_sentences else "eval.context_sentences"
            raise ValueError(
                f"{setting} reads linked sentence pairs, so it needs a dictionary.keep_links above 0 and a dictionary "
                "pair that is made from text (one with a `path` has no sentences)"
            )
        if init.lm_on == "words" and init.lm_weight and not self.dictionary.pairs:
            raise ValueError("init.lm_on is words, but the recipe names no dictionary pairs")

    def _check_kind(self) -> None:
        """What a masked language model cannot do."""
        if self.model.kind == "causal_lm" and self.pretrain.whole_word_masking:
            raise ValueError("pretrain.whole_word_masking is about hidden tokens, so it needs model.kind: masked_lm")
        if self.model.kind == "masked_lm" and self.init.lm_on == "words" and self.init.lm_weight:
            raise ValueError("init.lm_on is words, but a word alone gives a masked LM nothing to guess from")
        if self.model.kind == "masked_lm" and self.knowledge.language is not None:
            raise ValueError(
                "knowledge asks how a model goes on with a sentence, which a masked LM does not do; leave "
                "knowledge.language out, or train a causal LM"
            )
        if self.model.kind == "masked_lm" and self.eval.lm_eval.tasks:
            raise ValueError("eval.lm_eval asks causal models only; leave its tasks out, or train a causal LM")

    def _check_knowledge(self) -> None:
        """The language that facts are written in."""
        code = self.knowledge.language
        if code is not None and (code not in self.languages or self.languages[code].clone_of is not None):
            raise ValueError(f"knowledge.language: {code} must be one of the languages, and none that is cloned")
        if unknown := set(self.knowledge.wordings) - set(self.languages):
            raise ValueError(f"knowledge.wordings: {', '.join(sorted(unknown))} is not among the languages")

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

    def _check_sentences(self) -> None:
        """Sets of translated sentences without a file."""
        for item in self.eval.sentences:
            clone = self.languages.get(item.target)
            if item.path is None and (clone is None or clone.clone_of != item.source):
                raise ValueError(
                    f"eval.sentences, {item.name}: {item.target} is no clone of {item.source}, so its sentences cannot "
                    "be made; give the `path` of a file"
                )

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
        """Where a corpus path of this recipe lies."""
        return resolve(path, self.data)

    def model_place(self, path: str) -> str:
        """Where a model or tokenizer of this recipe is: a folder; or, if there is none, its name on the hub."""
        folder = self.input(path)
        return path if HUB_NAME.fullmatch(path) and not folder.exists() else str(folder)
