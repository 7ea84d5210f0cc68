"""The stages of one recipe: where each lies in the run folder, which settings shape it, what it reads.

runs/quickstart/
  recipe.yaml                      every setting, resolved; `prealign run` on this folder repeats the run
  dictionary/en--en-x-clone/       entries.tsv, card.json
  tokenizer/                       a Hugging Face tokenizer
  store/                           token shards
  init/aligned/  init/control/     start of the arms: with the alignment loss, or the same running text without it
  pretrain/joint/  pretrain/prealign/ ...
  eval/results.json
  report.html  report.md
"""

from __future__ import annotations

import platform
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from prealign import files
from prealign.config.dictionary import DictionaryPair
from prealign.config.fields import PYTHON_DOCS
from prealign.config.settings import Arm, Recipe
from prealign.corpora.sentence_pairs import Corpus, corpora
from prealign.stages.stage import Stage, options_of

ALIGNED_ARMS: tuple[Arm, ...] = ("prealign", "init_only")
SWITCHING_ARMS: tuple[Arm, ...] = ("prealign", "switching_only")
INIT_KINDS = ("aligned", "control")


class Layout:
    """All stages of a run, made from its recipe."""

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        self.folder = Path(recipe.output).expanduser()

    def corpora(self, pair: DictionaryPair) -> list[Corpus]:
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
            inputs |= {f"corpus {number}, {path.name}": _content(path) for path in corpus.files}
            options[f"corpus {number}, weight"] = corpus.weight
        if pair.path:
            inputs[pair.path] = _content(self.recipe.input(pair.path))
        if not inputs:  # a cloned language: the sentence pairs are made from running text
            options |= self._text_options(pair.source)
            inputs = self._text_inputs(pair.source)
        for path in (settings.encoder, pair.model):
            if path is not None:
                inputs[path] = _content(self.recipe.input(path))
        return Stage("dictionary", self.folder / "dictionary" / f"{pair.source}--{pair.target}", options, inputs)

    @cached_property
    def tokenizer(self) -> Stage:
        settings = self.recipe.tokenizer
        options = options_of(settings, "tokenizer") | {"seed": self.recipe.seed} | self._all_text_options()
        inputs = self._all_text_inputs()
        if settings.path is not None:
            inputs = {settings.path: _content(self.recipe.input(settings.path))}
        return Stage("tokenizer", self.folder / "tokenizer", options, inputs)

    @cached_property
    def store(self) -> Stage:
        options = options_of(self.recipe.store, "store") | {"seed": self.recipe.seed} | self._all_text_options()
        inputs = self._all_text_inputs() | {"tokenizer": self.tokenizer.fingerprint}
        return Stage("store", self.folder / "store", options, inputs)

    def init(self, kind: str) -> Stage:
        """`aligned`: stage 1 of the method. `control`: the same running text in the same order without the
        alignment loss."""
        recipe = self.recipe
        alignment_only = ("words_per_step", "temperature", "layers", "positives", "alignment_weight", "collapse_weight")
        leave_out = alignment_only if kind == "control" else ()
        options = (
            options_of(recipe.model, "model")
            | options_of(recipe.init, "init", *leave_out)
            | {"pretrain.block_size": recipe.pretrain.block_size, "engine.precision": recipe.engine.precision}
            | {"seed": recipe.seed}
            | self._shares()
        )
        inputs = {"store": self.store.fingerprint}
        for path in (recipe.model.config, recipe.model.checkpoint):
            if path is not None:
                inputs[path] = _content(recipe.input(path))
        if kind == "aligned":
            options["dictionary.held_out_share"] = recipe.dictionary.held_out_share
            inputs |= self._dictionary_inputs()
        return Stage("init", self.folder / "init" / kind, options, inputs)

    def pretrain(self, arm: Arm) -> Stage:
        recipe = self.recipe
        switching = arm in SWITCHING_ARMS
        leave_out = () if switching else ("switching",)
        options = (
            options_of(recipe.pretrain, "pretrain", *leave_out)
            | {"engine.precision": recipe.engine.precision, "seed": recipe.seed}
            | self._shares()
        )
        inputs = {"store": self.store.fingerprint, "init": self.init(self.init_kind(arm)).fingerprint}
        if switching:
            options["dictionary.held_out_share"] = recipe.dictionary.held_out_share
            inputs |= self._dictionary_inputs()
        return Stage("pretrain", self.folder / "pretrain" / arm, options, inputs)

    @cached_property
    def eval(self) -> Stage:
        recipe = self.recipe
        options = options_of(recipe.eval, "eval") | {"dictionary.held_out_share": recipe.dictionary.held_out_share}
        inputs = {arm: self.pretrain(arm).fingerprint for arm in recipe.arms} | self._dictionary_inputs()
        for item in [*recipe.eval.gold_dictionaries, *recipe.eval.sentences]:
            inputs[item.path] = _content(recipe.input(item.path))
        return Stage("eval", self.folder / "eval", options, inputs)

    @staticmethod
    def init_kind(arm: Arm) -> str:
        return "aligned" if arm in ALIGNED_ARMS else "control"

    @property
    def init_kinds(self) -> list[str]:
        """The starts that the recipe's arms need."""
        needed = {self.init_kind(arm) for arm in self.recipe.arms}
        return [kind for kind in INIT_KINDS if kind in needed]

    def stages(self) -> list[Stage]:
        """Every stage that the recipe asks for, in order."""
        return [
            *map(self.dictionary, self.recipe.dictionary.pairs),
            self.tokenizer,
            self.store,
            *map(self.init, self.init_kinds),
            *map(self.pretrain, self.recipe.arms),
            self.eval,
        ]

    def folders(self) -> dict[str, list[Path]]:
        """The folders of every stage, for `--fresh`."""
        return {
            "dictionary": [self.folder / "dictionary"],
            "tokenizer": [self.tokenizer.folder],
            "store": [self.store.folder],
            "init": [self.folder / "init" / kind for kind in INIT_KINDS],
            "pretrain": [
                stage
                for stage in sorted((self.folder / "pretrain").glob("*"))
                if not stage.name.endswith(files.PARTIAL)
            ]
            + [
                Path(str(stage).removesuffix(files.PARTIAL))
                for stage in sorted((self.folder / "pretrain").glob("*" + files.PARTIAL))
            ],
            "eval": [self.folder / "eval"],
            "report": [self.folder / "report.html", self.folder / "report.md"],
        }

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
        return {
            path: f"of Python {platform.python_version()}" if path == PYTHON_DOCS else _content(self.recipe.input(path))
            for path in language.text
        }

    def _all_text_inputs(self) -> dict[str, str]:
        merged: dict[str, str] = {}
        for code in self.recipe.languages:
            merged |= self._text_inputs(code)
        return merged

    def _dictionary_inputs(self) -> dict[str, str]:
        return {
            f"dictionary {p.source}-{p.target}": self.dictionary(p).fingerprint for p in self.recipe.dictionary.pairs
        }

    def _shares(self) -> dict[str, Any]:
        return {f"languages.{code}.share": language.share for code, language in self.recipe.languages.items()}


@cache
def _content(path: Path) -> str:
    """Fingerprint of an input, hashed once per process."""
    return files.fingerprint(path)
