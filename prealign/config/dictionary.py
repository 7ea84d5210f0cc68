"""The settings of `build-dict`: parallel text, the word aligner, and which linked words become entries."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import Field, field_validator, model_validator

from prealign.config.fields import Count, InputPath, LocalPath, Positive, Settings, Share, check_code, refuse

SegmenterName = Literal["auto", "icu", "rjieba", "spaces"]
AlignerName = Literal[
    "statistical",
    "thot-fast-align",
    "thot-ibm1",
    "thot-ibm2",
    "thot-hmm",
    "thot-ibm3",
    "thot-ibm4",
    "thot-eflomal",
    "eflomal",
    "fast_align",
    "neural",
    "simalign",
    "links",
]
ALIGNERS: tuple[AlignerName, ...] = get_args(AlignerName)
KEEPS_A_MODEL = ("statistical", *(name for name in ALIGNERS if name.startswith("thot-")), "eflomal")
"""Aligners whose trained model can be saved and applied to other text."""
LEARNS_NOTHING: tuple[AlignerName, ...] = ("neural", "simalign", "links")
"""Aligners that link each sentence pair for itself, whatever corpus it stands in."""
NOT_WITH_MODEL = ("train_sentence_pairs", "save_model")
"""Settings of training, which has no place beside a trained aligner."""
THRESHOLDS = ("min_count", "min_probability", "min_share_of_best", "top_k")
"""The dictionary settings that choose entries from counted links."""


class ParallelText(Settings):
    """One corpus of sentence pairs; a recipe may write its path alone."""

    path: InputPath
    """The file, or one of the two files of a Moses pair."""
    weight: Positive = 1.0
    """How often each link between words of this corpus counts: with 2, twice; with 0.5, half."""
    links: InputPath | None = None
    """Links made elsewhere, for `aligner: links`: a Pharaoh file (0-0 1-2), line i for pair i of the corpus."""
    licence: str = ""
    """Licence of the text, for the dictionary's card."""
    attribution: str = ""
    """Where the text comes from and whom to name, for the dictionary's card."""

    @model_validator(mode="before")
    @classmethod
    def _path_alone(cls, value: Any) -> Any:
        return {"path": value} if isinstance(value, str) else value


class DictionaryPair(Settings):
    """Where the dictionary of one language pair comes from."""

    source: str
    """BCP 47 code of the language whose running text is switched."""
    target: str
    """BCP 47 code of the language that the translations are in."""
    parallel: list[ParallelText] = []
    """Parallel text: paths, or {path: ..., weight: ...}. Reads .tsv (source, target per line), ||| lines, .jsonl, .tmx,
    .parquet, and Moses pairs, compressed or not. Not needed where the target is a clone."""
    source_segmenter: SegmenterName = "auto"
    """How words of the source language are found: auto is rjieba for Chinese and ICU for others; spaces is for text
    that is segmented already."""
    target_segmenter: SegmenterName = "auto"
    """How words of the target language are found."""
    path: InputPath | None = None
    """An existing dictionary (folder, TSV, MUSE text) instead of parallel text."""
    model: LocalPath | None = None
    """A trained aligner to apply instead of training one: the folder `aligner` beside a dictionary of this pair that
    was built with save_model."""

    @field_validator("source", "target")
    @classmethod
    def _code(cls, value: str) -> str:
        return check_code(value)

    @model_validator(mode="after")
    def _two_languages(self) -> Self:
        if self.source == self.target:
            raise ValueError(f"source and target are both {self.source}; give two languages")
        return self

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        if self.path is not None and self.parallel:
            raise ValueError("give either `parallel` (to extract a dictionary) or `path` (to import one), not both")
        return self


class DictionarySettings(Settings):
    """Word alignment and the entries made from it."""

    pairs: list[DictionaryPair] = []
    """The language pairs; each gets a dictionary folder."""
    clone_sentence_pairs: Count = 20_000
    """Sentence pairs made for a cloned language; the aligner does not know the mapping."""
    strict: bool = False
    """Stop when a single sentence pair of the parallel text must be left out (empty, too long, wrong script,
    duplicate ...); otherwise such pairs are counted and shown in a rejects file."""
    max_sentence_pairs: Count | None = None
    """Align no more than this many sentence pairs (chosen by hash); none: all."""
    train_sentence_pairs: Count | None = None
    """Train the aligner on this many sentence pairs (chosen by hash) and link the whole corpus with it, a chunk at a
    time, so that memory does not grow with the corpus; none: train on all, in memory."""
    aligner: AlignerName = "statistical"
    """What links the words: statistical is built in; thot-* come with the extra `thot`; eflomal and fast_align are
    programs; neural compares the states of an `encoder`, as simalign (extra `neural`) does; links takes files of
    existing links."""
    symmetrisation: Literal["intersect", "union", "grow-diag", "grow-diag-final-and"] = "intersect"
    """How the links of the two directions are joined."""
    aligner_device: Literal["cpu", "cuda"] = "cpu"
    """Where the aligner statistical computes; cuda is an NVIDIA GPU. The links are the same up to rounding."""
    encoder: LocalPath | None = None
    """Folder of a multilingual Hugging Face encoder, for the aligners neural and simalign."""
    encoder_layer: Annotated[int, Field(ge=0)] = 8
    """Layer of the encoder whose states are compared: 0 is the embeddings, then the blocks."""
    encoder_method: Literal["argmax", "itermax", "softmax"] = "argmax"
    """Which states are linked: argmax and itermax are SimAlign's, softmax is awesome-align's."""
    save_links: bool = False
    """Keep the links, in Pharaoh's form, and the words they count, in the folder `links` beside the entries."""
    keep_links: Annotated[int, Field(ge=0)] = 0
    """Keep so many sentence pairs (chosen by hash) with their links in the file `links.tsv` beside the entries, for
    `init.context_sentences_per_step`; 0: none."""
    save_model: bool = False
    """Keep the trained aligner in the folder `aligner` beside the entries; `model` of a pair applies it to other
    text."""
    multi_word: bool = False
    """Also make entries of two or three words for one ("no one", niemand) or one for two or three, where the links tie
    all of them together. Needs links of several words to one: `symmetrisation` grow-diag."""
    min_count: Count = 2
    """A pair of words is kept when it was linked at least this often."""
    min_probability: Share = 0.05
    """A pair is kept when p(target | source) and p(source | target) both reach this."""
    min_share_of_best: Share = 0.4
    """A translation is kept when it is at least this many times as probable as the best one of its source word, the
    word itself aside."""
    top_k: Count = 4
    """At most this many translations of a word are kept, the most probable first."""
    held_out_share: Share = 0.1
    """Share of the source words kept away from init and switching, to measure retrieval of words never aligned."""

    @property
    def links_come_joined(self) -> bool:
        """Whether the aligner gives one set of links rather than two directions."""
        return self.aligner in ("links", "simalign") or (self.aligner == "neural" and self.encoder_method != "argmax")

    @model_validator(mode="after")
    def _fits_the_aligner(self) -> Self:
        refuse(self._mistakes())
        return self

    def _mistakes(self) -> Iterator[str]:
        name = self.aligner
        if self.train_sentence_pairs is not None and (self.max_sentence_pairs is not None or self.save_links):
            yield (
                "`train_sentence_pairs` links the whole corpus a chunk at a time; it goes neither with "
                "`max_sentence_pairs`, which leaves pairs out, nor with `save_links`, which keeps them together"
            )
        if self.train_sentence_pairs is not None and name in LEARNS_NOTHING:
            yield (
                f"the aligner {name} learns nothing from the text, so there is nothing to train: leave out "
                "`train_sentence_pairs`; it links a corpus a chunk at a time anyway"
            )
        elif self.train_sentence_pairs is not None and name not in KEEPS_A_MODEL:
            yield (
                f"the aligner {name} learns from all the text that it links and keeps no model, so it links a corpus "
                f"as a whole or not at all: leave out `train_sentence_pairs`, or choose {', '.join(KEEPS_A_MODEL)}"
            )
        if self.aligner_device == "cuda" and name != "statistical":
            yield (
                f"`aligner_device` is for the aligner statistical, but `aligner` is {name}; leave it at cpu (neural "
                "takes a GPU where there is one)"
            )
        if name in ("neural", "simalign"):
            if self.encoder is None:
                yield f"the aligner {name} needs `encoder`, the folder of a multilingual encoder"
            if name == "simalign" and self.encoder_method == "softmax":
                yield "simalign has argmax and itermax; for softmax choose the aligner neural"
        if self.links_come_joined and self.symmetrisation != "intersect":
            yield (
                f"`symmetrisation` {self.symmetrisation} joins two directions, but {name} gives links that are joined "
                "already; leave it at intersect"
            )
        if self.multi_word and self.symmetrisation == "intersect" and not self.links_come_joined:
            yield (
                "`multi_word` needs links of several words to one, and `symmetrisation` intersect has none; set it to "
                "grow-diag"
            )
        for pair in self.pairs:
            if pair.model is not None and (ignored := [name for name in NOT_WITH_MODEL if getattr(self, name)]):
                yield (
                    f"dictionary pair {pair.source}-{pair.target} names a `model`, an aligner that is trained already, "
                    f"so nothing is trained or saved; leave out {' and '.join(ignored)}, or `model`"
                )
            without = [text.path for text in pair.parallel if text.links is None]
            if name == "links" and pair.path is None and (without or not pair.parallel):
                yield (
                    f"dictionary pair {pair.source}-{pair.target}: the aligner links needs parallel text with `links` "
                    f"beside every path{': ' + ', '.join(without) if without else ''}"
                )
            if name != "links" and len(without) < len(pair.parallel):
                yield (
                    f"dictionary pair {pair.source}-{pair.target} names `links`, but the aligner {name} makes its own; "
                    "set `aligner: links`, or leave them out"
                )
