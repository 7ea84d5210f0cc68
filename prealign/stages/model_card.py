"""The README.md inside every model folder: what the model is, what it saw, and from where its dictionary comes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml

from prealign import __version__

if TYPE_CHECKING:
    from prealign.stages.training import Materials


def model_card(materials: Materials, facts: dict[str, Any]) -> str:
    """Markdown with the front matter that the Hugging Face hub reads.

    Args:
        facts: what the training stage tells of itself, one line each.
    """
    recipe = materials.recipe
    tags = ["prealign", "multilingual"]
    front = {"language": list(recipe.languages), "library_name": "transformers", "tags": tags}
    lines = [
        "---",
        yaml.safe_dump(front, sort_keys=False, allow_unicode=True).strip(),
        "---",
        "",
        f"# A language model for {', '.join(recipe.languages)}",
        "",
        f"Trained with prealign {__version__}. `AutoModelForCausalLM.from_pretrained` loads it without that package.",
        "",
        "| | |",
        "|---|---|",
        *(f"| {name} | {value} |" for name, value in facts.items()),
        f"| token store | {materials.store.fingerprint} |",
        f"| seed | {recipe.seed} |",
        "",
        "## Text",
        "",
        *(f"- {code}: {_origin(recipe, code)}" for code in recipe.languages),
        "",
    ]
    if recipe.dictionary.pairs:
        lines += ["## Dictionaries", ""]
        for pair, (trained, held_out) in zip(recipe.dictionary.pairs, materials.dictionaries):
            origin = pair.path or ", ".join(text.path for text in pair.parallel) or f"{pair.source} text and its clone"
            sizes = f"{len(trained):,} entries used, {len(held_out):,} held out"
            lines.append(f"- {pair.source}-{pair.target}: {sizes}; from {origin}")
        lines.append("")
    return "\n".join(lines)


def _origin(recipe: Any, code: str) -> str:
    language = recipe.languages[code]
    if language.clone_of:
        return f"clone of {language.clone_document_share:.0%} of the {language.clone_of} documents"
    return ", ".join(language.text)
