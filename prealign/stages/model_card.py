"""The README.md inside every model folder: what the model is, what it saw, and from where its dictionary comes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import yaml

from prealign import __version__

if TYPE_CHECKING:
    from prealign.config.dictionary import DictionaryPair
    from prealign.config.settings import Recipe
    from prealign.config.translations import TranslationPair
    from prealign.stages.materials import Materials

PAIRS = ("sentence pairs", "sentence pairs contrasted", "sentences of pairs cut")
"""What is counted of sentence pairs, and told where it is not 0."""


def model_card(materials: Materials, facts: Mapping[str, Any], seen: Mapping[str, Any]) -> str:
    """Markdown with the front matter that the Hugging Face hub reads.

    Args:
        facts: what the training stage tells of itself, one line each.
        seen: "steps", "LM tokens", "alignment words", those of PAIRS, and "switched share" (None where nothing was
            switched), counted from the metrics up to this checkpoint.
    """
    recipe = materials.recipe
    auto_class = {"causal_lm": "AutoModelForCausalLM", "masked_lm": "AutoModelForMaskedLM"}[recipe.model.kind]
    tags = ["prealign", "multilingual"]
    front = {"language": list(recipe.languages), "library_name": "transformers", "tags": tags}
    counted = {name: f"{seen[name]:,}" for name in ("steps", "LM tokens", "alignment words")}
    counted |= {name: f"{seen[name]:,}" for name in PAIRS if seen.get(name)}
    if seen["switched share"] is not None:
        counted["share of eligible words switched, achieved"] = f"{seen['switched share']:.1%}"
    lines = [
        "---",
        yaml.safe_dump(front, sort_keys=False, allow_unicode=True).strip(),
        "---",
        "",
        f"# A language model for {', '.join(recipe.languages)}",
        "",
        f"Trained with prealign {__version__}. `{auto_class}.from_pretrained` loads it without that package.",
        "",
        "| | |",
        "|---|---|",
        *(f"| {name} | {value} |" for name, value in {**facts, **counted}.items()),
        f"| token store | {materials.store.fingerprint} |",
        f"| seed | {recipe.training_seed} |",
        *([f"| seed of the data | {recipe.seed} |"] if recipe.seeds else []),
        "",
        "Alignment words are counted as often as they were read, translations included; tokens and words of the stages "
        "before are included.",
        "",
        "## Text",
        "",
        *(f"- {code}: {_origin(recipe, code)}" for code in recipe.languages),
        "",
    ]
    if recipe.dictionary.pairs:
        lines += ["## Dictionaries", ""]
        for pair, (trained, held_out) in zip(recipe.dictionary.pairs, materials.dictionaries):
            lines.append(f"- {pair.source}-{pair.target}: {len(trained):,} entries used, {len(held_out):,} held out")
            lines += [f"  - {line}" for line in provenance(pair, trained.card)]
        lines.append("")
    if seen.get("sentence pairs") or seen.get("sentence pairs contrasted"):
        lines += ["## Sentence pairs", ""]
        for named in recipe.translations.pairs:
            lines += [f"- {named.source}-{named.target}", *(f"  - {line}" for line in provenance(named, {}))]
        lines.append("")
    return "\n".join(lines)


def provenance(pair: DictionaryPair | TranslationPair, card: Mapping[str, Any]) -> list[str]:
    """Where a dictionary comes from, as its card tells: corpora, licence, whom to name, the aligner. Of sentence pairs,
    which have no card, what the recipe says."""
    corpora = card.get("corpora")
    if isinstance(corpora, Mapping):
        corpora = [f"{name} ({fingerprint})" for name, fingerprint in corpora.items()]
    named = (
        getattr(pair, "path", None)
        or ", ".join(text.path for text in pair.parallel)
        or f"{pair.source} text and its clone"
    )
    licence = card.get("licence") or "; ".join(dict.fromkeys(text.licence for text in pair.parallel if text.licence))
    attribution = card.get("attribution") or list(
        dict.fromkeys(text.attribution for text in pair.parallel if text.attribution)
    )
    aligner = card.get("aligner")
    if isinstance(aligner, Mapping):
        aligner = aligner.get("name")
    return [
        f"from {named}",
        *([f"corpora: {_listed(corpora)}"] if corpora else []),
        f"licence: {licence or 'not stated; ask whoever made the text before passing this model on'}",
        *([f"attribution: {_listed(attribution)}"] if attribution else []),
        *([f"aligner: {aligner}"] if aligner else []),
    ]


def _listed(value: Any) -> str:
    return "; ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _origin(recipe: Recipe, code: str) -> str:
    language = recipe.languages[code]
    if language.clone_of:
        return f"clone of {language.clone_document_share:.0%} of the {language.clone_of} documents"
    return ", ".join(language.text)
