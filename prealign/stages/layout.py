"""The stages of one recipe: where each lies in the run folder, which settings shape it, what it reads.

runs/quickstart/
  recipe.yaml                      every setting, resolved; `prealign run` on this folder repeats the run
  inputs.json                      fingerprints of large input files (inputs.py)
  dictionary/en--en-x-clone/       entries.tsv, card.json
  tokenizer/                       a Hugging Face tokenizer
  store/                           token shards
  pairs/                           sentence pairs with linked words, if `init` or `eval` reads words in context
  translations/                    sentence pairs to train on, if an arm reads any
  init/aligned/  init/control/     start of the arms: with the alignment loss, or the same running text without it
                                   (of full_alignment: init/one_vocabulary/)
  pretrain/joint/  pretrain/prealign/ ...
  eval/results.json
  report.html  report.md

With `seeds: [1, 2]` in the recipe, `init/` and `pretrain/` lie in `seed-1/` and `seed-2/`; all else is shared.
"""

from __future__ import annotations

import platform
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import Any

from prealign import files
from prealign.config.arms import PLANS, Arm
from prealign.config.dictionary import DictionaryPair
from prealign.config.fields import PYTHON_DOCS, PYTHON_TOPICS
from prealign.config.settings import Recipe
from prealign.config.translations import TranslationPair
from prealign.corpora.knowledge_wording import wording_file
from prealign.corpora.sentence_pairs import Corpus, corpora
from prealign.stages.inputs import inputs_of
from prealign.stages.stage import Stage, options_of

INIT_KINDS = ("aligned", "control", "one_vocabulary")
ORDER = ("words_per_step", "frequency_exponent")
"""Settings of `init` that decide which words a step brings."""
NO_ALIGNMENT = ("lm_weight", "lm_on", "lm_rows_per_step", "max_steps", "optimizer", "guard", "stop_at")
"""Settings of `init` that are not about the alignment of words; all others are, new ones included."""

NOT_FETCHED = "not fetched"
"""Stands for the content of a file that is on the hub only."""

NOT_OF_PAIRS = {"as text": ["contrast"], "tlm": ["contrast"], "contrast": ["contrast.mixup"], "mixup": []}
"""Settings of `translations` that are not about what an arm does with sentence pairs."""


class Layout:
    """All stages of a run, made from its recipe. `init` and `pretrain` are those of one training seed: of a recipe that
    has several, `of_seeds` gives a layout for each."""

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        self.folder = Path(recipe.output).expanduser()

    def of_seeds(self) -> dict[int, Layout]:
        """The layouts of the training seeds; they differ in `init` and `pretrain`."""
        return {seed: Layout(self.recipe.with_seed(seed)) for seed in self.recipe.training_seeds}

    @property
    def _trained(self) -> Path:
        """Where the trainings of the layout's seed lie."""
        return self.folder / f"seed-{self.recipe.training_seed}" if self.recipe.seeds else self.folder

    def corpora(self, pair: DictionaryPair | TranslationPair) -> list[Corpus]:
        """The parallel text of a language pair."""
        named = [(self.recipe.input(text.path), text.weight) for text in pair.parallel]
        with_links = [(text.path, text.links) for text in pair.parallel if text.links is not None]
        links = {self.recipe.input(path): self.recipe.input(file) for path, file in with_links}
        return corpora(named, pair.source, pair.target, links)

    def dictionary(self, pair: DictionaryPair) -> Stage:
        settings = self.recipe.dictionary
        options = options_of(settings, "dictionary", "pairs", "held_out_share") | {"seed": self.recipe.seed}
        options |= options_of(pair, "pair", "parallel", "path", "model")
        inputs: dict[str, str] = {}
        for number, corpus in enumerate(self.corpora(pair), start=1):
            inputs |= {f"corpus {number}, {path.name}": self._content(path) for path in corpus.files}
            options[f"corpus {number}, weight"] = corpus.weight
        if pair.path:
            inputs[pair.path] = self._content(self.recipe.input(pair.path))
        if not inputs:  # a cloned language: the sentence pairs are made from running text
            options |= self._text_options(pair.source)
            inputs = self._text_inputs(pair.source)
        for path in (settings.encoder, pair.model):
            if path is not None:
                inputs[path] = self._content(self.recipe.input(path))
        return Stage("dictionary", self.folder / "dictionary" / f"{pair.source}--{pair.target}", options, inputs)

    @cached_property
    def tokenizer(self) -> Stage:
        settings = self.recipe.tokenizer
        options = options_of(settings, "tokenizer") | {"seed": self.recipe.seed} | self._all_text_options()
        if self.recipe.model.kind == "masked_lm":
            options["mask token"] = True
        inputs = self._all_text_inputs()
        if settings.path is not None:
            inputs = {settings.path: self._content_of_model(settings.path)}
            if settings.extend_to is not None:
                inputs |= self._all_text_inputs()
        return Stage("tokenizer", self.folder / "tokenizer", options, inputs)

    @cached_property
    def store(self) -> Stage:
        options = options_of(self.recipe.store, "store", "workers") | self._all_text_options()
        inputs = self._all_text_inputs() | {"tokenizer": self.tokenizer.fingerprint}
        if (code := self.recipe.knowledge.language) is not None:  # stores without invented facts keep their identity
            options |= options_of(self.recipe.knowledge, "knowledge", "wordings")
            inputs |= self._wordings([code])
        return Stage("store", self.folder / "store", options, inputs)

    @cached_property
    def pairs(self) -> Stage:
        """Linked sentence pairs as token ids, for words in context."""
        inputs = {"tokenizer": self.tokenizer.fingerprint} | self._dictionary_inputs()
        return Stage("pairs", self.folder / "pairs", {}, inputs)

    @cached_property
    def translations(self) -> Stage:
        """Sentence pairs as token ids, to train on."""
        recipe = self.recipe
        options: dict[str, Any] = {
            "translations.pairs": [f"{pair.source}--{pair.target}" for pair in recipe.translations.pairs],
            "translations.max_sentence_pairs": recipe.translations.max_sentence_pairs,
            "seed": recipe.seed,
        }
        inputs = {"tokenizer": self.tokenizer.fingerprint}
        for pair in recipe.translations.pairs:
            name = f"{pair.source}--{pair.target}"
            for number, corpus in enumerate(self.corpora(pair), start=1):
                inputs |= {f"{name}, corpus {number}, {path.name}": self._content(path) for path in corpus.files}
            if not pair.parallel:  # a cloned language
                options |= self._text_options(pair.source) | {"store.validation_share": recipe.store.validation_share}
                inputs |= self._text_inputs(pair.source)
        for item in recipe.eval.sentences:  # are left out
            test = f"test {item.name}, {item.source}-{item.target}"
            inputs[test] = self.store.fingerprint if item.path is None else self._content(recipe.input(item.path))
            if item.path is None:
                options["eval.max_sentences"] = recipe.eval.max_sentences
        return Stage("translations", self.folder / "translations", options, inputs)

    def init(self, kind: str) -> Stage:
        """`aligned`: stage 1 of the method. `control`: the same running text in the same order without the
        alignment loss. `one_vocabulary`: the control with one id for a piece and its clone."""
        recipe = self.recipe
        aligned = kind == "aligned"
        on_words = recipe.init.lm_on == "words" and recipe.init.lm_weight > 0
        leave_out = ["guard"]  # a stage that was not stopped by it is what it would have been without it
        if not aligned:
            kept = (*NO_ALIGNMENT, *(ORDER if on_words else ()))
            leave_out += [name for name in type(recipe.init).model_fields if name not in kept]
        options = (
            options_of(recipe.model, "model")
            | options_of(recipe.init, "init", *leave_out)
            | {"pretrain.block_size": recipe.pretrain.block_size, "engine.precision": recipe.engine.precision}
            | {"seed": recipe.training_seed}
            | self._shares()
        )
        if kind == "one_vocabulary":
            options["vocabulary"] = "twins are one"
        inputs = {"store": self.store.fingerprint}
        for path in (recipe.model.config, recipe.model.checkpoint):
            if path is not None:
                inputs[path] = self._content_of_model(path)
        if aligned or on_words:
            options["dictionary.held_out_share"] = recipe.dictionary.held_out_share
            inputs |= self._dictionary_inputs()
        if aligned:
            inputs |= self._pairs_input()
        if recipe.init.stop_at is not None:  # then the measurements decide where the stage ends
            options |= {"engine.eval_steps": recipe.engine.eval_steps, "eval.max_words": recipe.eval.max_words}
            if not aligned:
                inputs["init, aligned"] = self.init("aligned").fingerprint
        return Stage("init", self._trained / "init" / kind, options, inputs)

    def pretrain(self, arm: Arm) -> Stage:
        recipe, plan = self.recipe, PLANS[arm]
        leave_out = {"none": ["switching"], "as set": [], "both": ["switching.labels"]}[plan.switching]
        leave_out = [*leave_out, "whole_word_masking"]  # one of _shares
        options = (
            options_of(recipe.pretrain, "pretrain", *leave_out)
            | {"engine.precision": recipe.engine.precision, "seed": recipe.training_seed}
            | self._shares()
        )
        inputs = {"store": self.store.fingerprint, "init": self.init(plan.start).fingerprint}
        if plan.switching == "both":
            options["pretrain.switching.labels"] = "both"
        if plan.alignment != "none":
            options |= options_of(recipe.init, "init", *NO_ALIGNMENT) | {"words aligned": plan.alignment}
            inputs |= self._pairs_input()
        if plan.translations != "none":
            leave_out = ["pairs", "max_sentence_pairs", *NOT_OF_PAIRS[plan.translations]]
            options |= options_of(recipe.translations, "translations", *leave_out)
            options["sentence pairs"] = plan.translations
            inputs["translations"] = self.translations.fingerprint
        if plan.switching != "none" or plan.alignment != "none":
            options["dictionary.held_out_share"] = recipe.dictionary.held_out_share
            inputs |= self._dictionary_inputs()
        return Stage("pretrain", self._trained / "pretrain" / arm, options, inputs, amendable=("pretrain.skip_steps",))

    @cached_property
    def eval(self) -> Stage:
        recipe = self.recipe
        # Another batch size changes last digits only, and is the way on after a GPU had too little memory.
        options = options_of(recipe.eval, "eval", "batch_size") | {
            "dictionary.held_out_share": recipe.dictionary.held_out_share
        }
        models = {
            arm + (f", seed {seed}" if recipe.seeds else ""): layout.pretrain(arm).fingerprint
            for seed, layout in self.of_seeds().items()
            for arm in recipe.arms
        }
        inputs = models | self._dictionary_inputs()
        for path in [item.path for sets in (recipe.eval.gold_dictionaries, recipe.eval.sentences) for item in sets]:
            if path is not None:
                inputs[path] = self._content(recipe.input(path))
        for transfer in recipe.eval.transfer:
            inputs |= self._sources(transfer.files)
        if any(item.path is None for item in recipe.eval.sentences):
            inputs["store"] = self.store.fingerprint
        if recipe.eval.context_sentences:
            inputs["pairs"] = self.pairs.fingerprint
        if (own_tasks := recipe.eval.lm_eval.include_path) is not None:
            inputs[own_tasks] = self._content(recipe.input(own_tasks))
        if recipe.knowledge.language is not None:
            inputs |= self._wordings(recipe.languages)
        return Stage("eval", self.folder / "eval", options, inputs, growing=tuple(models))

    def _wordings(self, codes: Iterable[str]) -> dict[str, str]:
        """The sentences that state invented facts and ask for them."""
        return {f"wording, {code}": self._content(wording_file(self.recipe, code)) for code in codes}

    @property
    def init_kinds(self) -> list[str]:
        """The starts that the recipe's arms need; a control that stops with the aligned start needs that one first."""
        needed: set[str] = {PLANS[arm].start for arm in self.recipe.arms}
        if self.recipe.init.stop_at is not None:
            needed.add("aligned")
        return [kind for kind in INIT_KINDS if kind in needed]

    def _content(self, path: Path) -> str:
        """Fingerprint of an input; in a plan it may lie on the hub only."""
        if not (self.recipe.fetches or path.exists()):
            return NOT_FETCHED
        return inputs_of(self.folder).fingerprint(path)

    def _content_of_model(self, path: str) -> str:
        """Fingerprint of a model's or tokenizer's folder; a name on the hub stands for itself."""
        place = Path(self.recipe.model_place(path))
        return self._content(place) if place.exists() else path

    def stages(self) -> list[Stage]:
        """Every stage that the recipe asks for, in order."""
        return [
            *map(self.dictionary, self.recipe.dictionary.pairs),
            self.tokenizer,
            self.store,
            *([self.pairs] if self.recipe.reads_sentences else []),
            *([self.translations] if self.recipe.reads_translations else []),
            *(stage for layout in self.of_seeds().values() for stage in layout._trainings()),
            self.eval,
        ]

    def _trainings(self) -> list[Stage]:
        return [*map(self.init, self.init_kinds), *map(self.pretrain, self.recipe.arms)]

    def folders(self) -> dict[str, list[Path]]:
        """The folders of every stage, for `--fresh`."""
        return {
            "dictionary": [self.folder / "dictionary"],
            "tokenizer": [self.tokenizer.folder],
            "store": [self.store.folder],
            "pairs": [self.pairs.folder],
            "translations": [self.translations.folder],
            "init": self._all_trained("init"),
            "pretrain": self._all_trained("pretrain"),
            "eval": [self.folder / "eval"],
            "report": [self.folder / "report.html", self.folder / "report.md"],
        }

    def _all_trained(self, stage: str) -> list[Path]:
        """Folders of a training stage, finished or not, of arms and seeds that the recipe no longer has as well."""
        found = [*self.folder.glob(f"{stage}/*"), *self.folder.glob(f"seed-*/{stage}/*")]
        return sorted({Path(str(place).removesuffix(files.PARTIAL)) for place in found if place.is_dir()})

    def _text_options(self, code: str) -> dict[str, Any]:
        """What shapes a language's documents, its own settings and those of languages cloned from it."""
        options: dict[str, Any] = {"store.deduplicate": self.recipe.store.deduplicate, "seed": self.recipe.seed}
        for other, language in self.recipe.languages.items():
            if code == other or language.clone_of == code:
                options |= options_of(language, f"languages.{other}", "share")
        return options

    def _all_text_options(self) -> dict[str, Any]:
        merged: dict[str, Any] = {}
        for code in self.recipe.languages:
            merged |= self._text_options(code)
        return merged

    def _text_inputs(self, code: str) -> dict[str, str]:
        language = self.recipe.languages[code]
        if language.clone_of is not None:
            return self._text_inputs(language.clone_of)
        return self._sources(language.text)

    def _sources(self, paths: Iterable[str]) -> dict[str, str]:
        """Named files by content, and what is read from the running Python by its version."""
        python = f"of Python {platform.python_version()}"
        inside = (PYTHON_DOCS, PYTHON_TOPICS)
        return {path: python if path in inside else self._content(self.recipe.input(path)) for path in paths}

    def _all_text_inputs(self) -> dict[str, str]:
        merged: dict[str, str] = {}
        for code in self.recipe.languages:
            merged |= self._text_inputs(code)
        return merged

    def _dictionary_inputs(self) -> dict[str, str]:
        return {
            f"dictionary {p.source}-{p.target}": self.dictionary(p).fingerprint for p in self.recipe.dictionary.pairs
        }

    def _pairs_input(self) -> dict[str, str]:
        return {"pairs": self.pairs.fingerprint} if self.recipe.init.reads_sentences else {}

    def _shares(self) -> dict[str, Any]:
        """What shapes the rows of running text in both training stages, besides the store."""
        pretrain = self.recipe.pretrain
        masked = self.recipe.model.kind == "masked_lm"
        return {
            **({"pretrain.whole_word_masking": pretrain.whole_word_masking} if masked else {}),
            "pretrain.sampling_alpha": pretrain.sampling_alpha,
            "pretrain.document_masking": pretrain.document_masking,
            **{f"languages.{code}.share": language.share for code, language in self.recipe.languages.items()},
        }
