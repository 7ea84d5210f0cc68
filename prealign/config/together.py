"""How the sections of a recipe must fit together: values in, sentences out, one for each mistake.

Asked when every setting for itself is right (settings.py), by recipes from files and those made in Python alike.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from prealign.config.arms import PLANS
from prealign.config.fields import LANGUAGE_CODE, NO_CODE

if TYPE_CHECKING:
    from prealign.config.settings import Language, Recipe


def mistakes(recipe: Recipe) -> Iterator[str]:
    """What does not fit together, as sentences."""
    yield from _of_dictionary(recipe)
    if unknown := set(recipe.tokenizer.extend_for) - set(recipe.languages):
        yield f"tokenizer.extend_for: {', '.join(sorted(unknown))} is not among the languages"
    yield from _of_training(recipe)
    yield from _of_arms(recipe)
    yield from _of_alignment(recipe)
    yield from _of_kind(recipe)
    yield from _of_knowledge(recipe)
    yield from _of_sentences(recipe)
    clones = {code: language.clone_of for code, language in recipe.languages.items()}
    yield from recipe.translations.mistakes(recipe.arms, clones, recipe.model)


def _of_dictionary(recipe: Recipe) -> Iterator[str]:
    named = set()
    for pair in recipe.dictionary.pairs:
        languages = pair.source, pair.target
        name = f"dictionary pair {pair.source}-{pair.target}"
        unknown = [code for code in languages if code not in recipe.languages]
        yield from (f"{name}: {code} is not among the languages" for code in unknown)
        is_clone = not unknown and recipe.languages[pair.target].clone_of == pair.source
        if not (unknown or pair.parallel or pair.path or is_clone):
            yield f"{name} needs `parallel` text or a `path`"
        if languages in named:
            yield f"{name} is named twice"
        named.add(languages)


def _of_training(recipe: Recipe) -> Iterator[str]:
    targets = {pair.target for pair in recipe.dictionary.pairs}
    if unknown := set(recipe.pretrain.switching.language_ratios) - targets:
        yield f"pretrain.switching.language_ratios: {', '.join(sorted(unknown))} is the target of no dictionary pair"
    rows, per_device = recipe.pretrain.global_batch_rows, recipe.pretrain.per_device_train_batch_size
    if rows % min(rows, per_device):
        yield f"pretrain.global_batch_rows ({rows}) must be a multiple of per_device_train_batch_size ({per_device})"
    for name, stage in (("init", recipe.init), ("pretrain", recipe.pretrain)):
        warmup = stage.optimizer.warmup_steps
        if 1 <= warmup >= stage.max_steps > 0:
            yield (
                f"{name}.optimizer.warmup_steps ({warmup:g}) leaves nothing of {name}.max_steps "
                f"({stage.max_steps:,}); take fewer, or a share below 1"
            )
    given = [f"languages.{code}.share" for code, language in recipe.languages.items() if language.share != 1.0]
    if recipe.pretrain.sampling_alpha is not None and given:
        yield f"pretrain.sampling_alpha computes the languages' shares from their sizes; remove it, or {given[0]}"


def _of_arms(recipe: Recipe) -> Iterator[str]:
    """What single arms ask of the other sections."""
    init = recipe.init
    if "full_alignment" in recipe.arms:
        if not any(language.clone_of for language in recipe.languages.values()):
            yield (
                "arm full_alignment makes one id of a piece and its clone, so it needs a language with `clone_of`; "
                "real languages have no such pieces"
            )
        if init.lm_on == "words" and init.lm_weight:
            yield (
                "arm full_alignment reads running text in stage 1, where a word and its clone would be one, but "
                "init.lm_on is words"
            )
    timed = [arm for arm in recipe.arms if PLANS[arm].alignment != "none"]
    if timed and not recipe.dictionary.pairs:
        yield f"arm {timed[0]} aligns words, but the recipe names no dictionary pairs; add one, or drop the arm"
    if timed and not (init.max_steps and init.lm_weight and init.aligns_words):
        yield (
            f"arm {timed[0]} brings a batch of words in pretraining for each step of its start, and has none: "
            "init.max_steps, init.lm_weight, and init.alignment_weight or the words in sentences must be above 0"
        )
    if timed and init.max_steps > recipe.pretrain.max_steps:
        yield (
            f"arm {timed[0]} brings the {init.max_steps:,} batches of words of init.max_steps in pretraining, one "
            f"a step, but pretrain.max_steps is {recipe.pretrain.max_steps:,}"
        )


def _of_alignment(recipe: Recipe) -> Iterator[str]:
    """What stage 1 asks of the other sections."""
    init = recipe.init
    yield from init.mistakes_of_loss()
    if unknown := set(init.guard) - set(recipe.languages):
        yield f"init.guard: {', '.join(sorted(unknown))} is not among the languages"
    if init.stop_at is not None and not (recipe.eval.word_retrieval and recipe.dictionary.held_out_share):
        yield (
            "init.stop_at is a P@1 of held-out words, so it needs eval.word_retrieval and a "
            "dictionary.held_out_share above 0"
        )
    if recipe.reads_sentences and not (
        recipe.dictionary.keep_links and any(pair.path is None for pair in recipe.dictionary.pairs)
    ):
        setting = "init.context_sentences_per_step" if init.reads_sentences else "eval.context_sentences"
        yield (
            f"{setting} reads linked sentence pairs, so it needs a dictionary.keep_links above 0 and a dictionary "
            "pair that is made from text (one with a `path` has no sentences)"
        )
    if init.lm_on == "words" and init.lm_weight and not recipe.dictionary.pairs:
        yield "init.lm_on is words, but the recipe names no dictionary pairs"


def _of_kind(recipe: Recipe) -> Iterator[str]:
    """What one kind of model cannot do."""
    if recipe.model.kind == "causal_lm":
        if recipe.pretrain.whole_word_masking:
            yield "pretrain.whole_word_masking is about hidden tokens, so it needs model.kind: masked_lm"
        return
    if recipe.init.lm_on == "words" and recipe.init.lm_weight:
        yield "init.lm_on is words, but a word alone gives a masked LM nothing to guess from"
    if "both_sides" in recipe.arms:
        yield "arm both_sides predicts switched words, as a masked LM does in arm prealign already; drop one of them"
    if recipe.pretrain.switching.labels != "input_only":
        yield (
            f"pretrain.switching.labels is {recipe.pretrain.switching.labels}, but a masked LM is asked for what it "
            "reads, switched words too; leave it out"
        )
    if recipe.knowledge.language is not None:
        yield (
            "knowledge asks how a model goes on with a sentence, which a masked LM does not do; leave "
            "knowledge.language out, or train a causal LM"
        )
    if recipe.eval.lm_eval.tasks:
        yield "eval.lm_eval asks causal models only; leave its tasks out, or train a causal LM"


def _of_knowledge(recipe: Recipe) -> Iterator[str]:
    """The language that facts are written in."""
    code = recipe.knowledge.language
    if code is not None and (code not in recipe.languages or recipe.languages[code].clone_of is not None):
        yield f"knowledge.language: {code} must be one of the languages, and none that is cloned"
    if unknown := set(recipe.knowledge.wordings) - set(recipe.languages):
        yield f"knowledge.wordings: {', '.join(sorted(unknown))} is not among the languages"


def _of_sentences(recipe: Recipe) -> Iterator[str]:
    """Sets of translated sentences without a file."""
    for item in recipe.eval.sentences:
        clone = recipe.languages.get(item.target)
        if item.path is None and (clone is None or clone.clone_of != item.source):
            yield (
                f"eval.sentences, {item.name}: {item.target} is no clone of {item.source}, so its sentences cannot "
                "be made; give the `path` of a file"
            )


def mistakes_of_languages(languages: Mapping[str, Language]) -> Iterator[str]:
    """Codes that are none, and languages without text."""
    for code, language in languages.items():
        if not LANGUAGE_CODE.fullmatch(code):
            yield NO_CODE.format(code)
        if language.clone_of is None and not language.text and any(other.text for other in languages.values()):
            yield f"language {code} has no `text` and is no clone of another; name its files"
        if language.clone_of is not None:
            origin = languages.get(language.clone_of)
            if origin is None or origin.clone_of is not None or language.text:
                yield (
                    f"language {code}: `clone_of` must name another language of the recipe, which is no clone itself, "
                    "and then `text` stays empty"
                )
