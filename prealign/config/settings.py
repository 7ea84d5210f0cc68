"""Every setting of a recipe: its type, its meaning, its range, its default. No torch here.

The text under a field feeds `--help`, the reference page and the commented recipe. A setting exists because a recipe
uses it. Names follow `transformers.TrainingArguments` where it has one. Paths of corpora are relative to the
recipe's `data` folder.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from prealign.config.dictionary import DictionarySettings
from prealign.config.fields import Count, InputPath, Positive, Settings, Share, check_code, resolve


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


class ModelSettings(Settings):
    """What is trained: a preset with random weights, an HF config, or an HF checkpoint."""

    preset: Literal["tiny", "20m", "150m", "400m", "1.3b"] = "tiny"
    """Llama shapes by size; `tiny` has about one million parameters without embeddings. Ignored when `config` or
    `checkpoint` is given."""
    config: InputPath | None = None
    """Folder with a Hugging Face config.json: that architecture with random weights."""
    checkpoint: InputPath | None = None
    """Folder (or hub name) of an existing Hugging Face model to start from."""
    overrides: dict[str, int | float | str | bool] = {}
    """Fields of the HF config to change, for example {num_hidden_layers: 6}."""


class OptimizerSettings(Settings):
    """The optimiser, the same in both training stages."""

    learning_rate: Positive = 5e-4
    """Peak learning rate."""
    lr_scheduler_type: Literal["cosine", "linear", "constant"] = "cosine"
    """Course of the learning rate after the warm-up; cosine ends at a tenth of the peak, linear at zero."""
    warmup_steps: Annotated[float, Field(ge=0.0)] = 0.05
    """Steps of linear warm-up; a number below 1 is a share of max_steps."""
    weight_decay: Annotated[float, Field(ge=0.0)] = 0.1
    """Decoupled weight decay on matrices; vectors (norms, biases) get none."""
    adam_beta1: Share = 0.9
    """Decay of AdamW's first moment."""
    adam_beta2: Share = 0.95
    """Decay of AdamW's second moment."""
    max_grad_norm: Positive = 1.0
    """Gradients are scaled down to this global norm."""


class InitSettings(Settings):
    """Stage 1: pull the representations of translations together at every layer (docs/method.md, 2)."""

    max_steps: Annotated[int, Field(ge=0)] = 300
    """Optimiser steps; 0 leaves the start as it is."""
    words_per_step: Annotated[int, Field(ge=2)] = 256
    """Dictionary source words per step, over all ranks; each comes with one translation or more."""
    temperature: Positive = 0.1
    """Temperature of the contrast."""
    layers: Literal["all"] | list[int] = "all"
    """Layers that are aligned: 0 is the embeddings, then the blocks, the last is the output rows; all is the
    paper's choice."""
    positives: Literal["log_sum", "sum_log"] = "log_sum"
    """Form of the loss with several translations: log of the sum, or (SupCon) mean of the logs."""
    alignment_weight: Annotated[float, Field(ge=0.0)] = 1.0
    """Weight of the alignment loss."""
    collapse_weight: Annotated[float, Field(ge=0.0)] = 0.0
    """Weight of max(0, mean pairwise cosine), which keeps all words from becoming one."""
    lm_weight: Annotated[float, Field(ge=0.0)] = 1.0
    """Weight of the language-model loss on running text; 0: no running text in this stage."""
    lm_rows_per_step: Count = 16
    """Blocks of running text per step, over all ranks."""
    optimizer: OptimizerSettings = OptimizerSettings()


class SwitchingSettings(Settings):
    """Code-switching of the input (docs/method.md, 3)."""

    ratio: Share = 0.05
    """Share of eligible words replaced by a translation; 0 switches nothing."""
    language_ratios: dict[str, Share] = {}
    """Target language -> share of the words with a translation into it that are replaced by one; given, these take the
    place of `ratio`, and languages left out are not switched into."""
    run: Count = 1
    """Neighbouring eligible words that are switched or left together; more than 1 switches phrases."""
    labels: Literal["input_only", "both", "none"] = "input_only"
    """What the model is asked to predict where a word was switched: the original (the method), the switched text (a
    control), or nothing."""
    candidates: Literal["probability", "uniform", "best"] = "probability"
    """How one of several translations is chosen."""
    document_share: Share = 1.0
    """Share of the rows in which words are switched at all; the others stay untouched."""
    schedule: Literal["constant", "linear", "steps"] = "constant"
    """Course of the ratio over training: constant; linear to zero; or halved at each third."""

    @field_validator("language_ratios")
    @classmethod
    def _sum_to_a_share(cls, value: dict[str, float]) -> dict[str, float]:
        if sum(value.values()) > 1.0:
            raise ValueError(f"the ratios sum to {sum(value.values()):g}, and no more than every word can be switched")
        return value

    @property
    def total_ratio(self) -> float:
        """Share of the words switched, of those that every target language translates."""
        return sum(self.language_ratios.values()) if self.language_ratios else self.ratio


class PretrainSettings(Settings):
    """Stage 2: language-model pretraining with input-only code-switching."""

    max_steps: Count = 1000
    """Optimiser steps."""
    block_size: Annotated[int, Field(ge=8)] = 128
    """Tokens per row; used in stage 1's running text as well."""
    global_batch_rows: Count = 16
    """Rows per optimiser step over all ranks; the order of the data depends on it and on nothing else of the
    machine."""
    per_device_train_batch_size: Count = 16
    """Rows per forward pass on one device; the rest of the global batch is accumulated."""
    switching: SwitchingSettings = SwitchingSettings()
    optimizer: OptimizerSettings = OptimizerSettings(learning_rate=3e-4)


class EngineSettings(Settings):
    """How both training stages run; nothing here changes what is learnt."""

    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """bf16 autocast or fp32; auto takes bf16 on GPUs and on CPUs with AMX or AVX512-BF16, where it is faster, and
    fp32 elsewhere."""
    torch_compile: bool = False
    """Compile the model; worth its start-up time (a minute) for long runs on a GPU."""
    gradient_checkpointing: bool = False
    """Recompute activations in the backward pass to save memory."""
    logging_steps: Count = 10
    """Write a row of metrics.jsonl every so many steps."""
    eval_steps: Count = 200
    """Measure validation bits per byte every so many steps, and at the end."""
    eval_tokens: Count = 20_000
    """Validation tokens per language in those measurements; the final evaluation reads all."""
    save_steps: Count = 200
    """Save a checkpoint every so many steps, and at the end."""
    save_total_limit: Count = 2
    """Keep this many checkpoints; older ones are removed."""
    report_to: list[Literal["tensorboard", "wandb"]] = []
    """Trackers that also get the metrics."""


class RetrievalSet(Settings):
    """A file of pairs for an outside test of retrieval."""

    name: str
    """Short name for tables."""
    source: str
    """BCP 47 code of the first column."""
    target: str
    """BCP 47 code of the second column."""
    path: InputPath
    """TSV: source, target; several lines per source allowed for words."""


class EvalSettings(Settings):
    """What the trained models are measured on."""

    word_retrieval: bool = True
    """Retrieval of translations among held-out and trained dictionary words, per layer."""
    max_words: Count = 1000
    """At most this many source words per retrieval test."""
    gold_dictionaries: list[RetrievalSet] = []
    """Outside dictionaries for word retrieval and for the quality of the extracted entries."""
    sentences: list[RetrievalSet] = []
    """Translated sentence pairs for sentence retrieval, per layer."""
    batch_size: Count = 16
    """Rows per forward pass; larger ones were slower on two CPU cores, a GPU likes 64 and more."""


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
