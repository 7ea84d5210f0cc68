"""Recipes: every mistake at once, with its line; overrides; a written recipe reads back equal."""

from __future__ import annotations

from pathlib import Path

import pytest

from prealign.config.init import InitSettings
from prealign.config.recipe import read_recipe, write_recipe
from prealign.config.settings import Recipe
from prealign.errors import PrealignError

GOOD = """
output: runs/x
languages:
  en: {text: [python-docs]}
  en-x-clone: {clone_of: en, share: 0.05}
dictionary:
  pairs:
    - {source: en, target: en-x-clone}
"""


def recipe_file(folder: Path, text: str) -> Path:
    path = folder / "recipe.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def mistakes(folder: Path, text: str, *flags: str) -> list[str]:
    with pytest.raises(PrealignError) as caught:
        read_recipe(recipe_file(folder, text), flags)
    return str(caught.value).splitlines()[1:]


def test_three_kinds_of_mistake_are_told_together_with_file_and_line(tmp_path):
    told = mistakes(
        tmp_path,
        "languages:\n  en:\n    text: [absent.txt]\npretrain:\n  max_stepz: 5\n  block_size: many\n",
    )
    place = tmp_path / "recipe.yaml"
    assert len(told) == 3
    assert any(f"{place}:3: languages.en.text[0]: absent.txt does not exist" in line for line in told)
    assert any(f"{place}:5: pretrain.max_stepz is not a setting; did you mean max_steps?" in line for line in told)
    assert any(f"{place}:6: pretrain.block_size: input should be a valid integer" in line for line in told)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("languages: {English: {text: [python-docs]}}", "'English' is not a BCP 47 code"),
        ("languages: {en: {text: [python-docs]}, de: {}}", "language de has no `text`"),
        (GOOD + "init: {layers: []}", "init.layers"),
        (GOOD + "init: {layers: [-1]}", "init.layers"),
        (GOOD + "init: {layers: 9-2}", "layers is 9-2; a range begins with its lower end"),
        (GOOD + "init: {layers: [3, 3]}", "layers names a layer twice: [3, 3]"),
        (GOOD + "init: {layer_weights: [0, 0]}", "layer_weights is [0.0, 0.0]; some must be more than 0"),
        (GOOD + "init: {learn_temperature: true, temperature: 5}", "starts and stays between 0.01 and 1.0"),
        ("languages: {en: {text: [python-docs]}}\nlanguages: {}", "languages (first on line 1)"),
        ("languages: {xx-y: {clone_of: en}}", "must name another language"),
        ("languages: {xx-y: {clone_of: xx-y}}", "must name another language"),
        (
            "languages: {en: {text: [python-docs]}, xx: {clone_of: en}, yy: {clone_of: xx}}",
            "language yy: `clone_of` must name another language of the recipe, which is no clone itself",
        ),
        (GOOD + "    - {source: en, target: German}", "'German' is not a BCP 47 code"),
        (GOOD + "    - {source: en, target: en}", "source and target are both en"),
        (
            GOOD + "  aligner: fast_align\n  train_sentence_pairs: 9",
            "the aligner fast_align learns from all the text that it links and keeps no model",
        ),
        (GOOD + "    - {source: en, target: de}", "de is not among the languages"),
        (GOOD + "    - {source: en, target: en-x-clone}", "named twice"),
        (GOOD + "pretrain: {global_batch_rows: 7, per_device_train_batch_size: 2}", "must be a multiple"),
        (GOOD + "init: {layers: some}", "got 'some'"),
        (
            GOOD + "pretrain: {max_steps: 50, optimizer: {warmup_steps: 50}}",
            "pretrain.optimizer.warmup_steps (50) leaves nothing of pretrain.max_steps (50)",
        ),
        (GOOD + "init: {max_steps: 20, optimizer: {warmup_steps: 90}}", "leaves nothing of init.max_steps (20)"),
        (GOOD + "arms: []", "at least 1 item"),
        ("languages: {en: {text: [python-docs-topics]}}", "languages.en.text[0]: python-docs-topics does not exist"),
        (
            GOOD + "eval: {gold_dictionaries: [{name: g, source: en, target: de, path: python-docs}]}",
            "eval.gold_dictionaries[0].path: python-docs does not exist",
        ),
        (GOOD + "arms: [joint, joint]", "arms: joint is named twice"),
        (GOOD + "seeds: [3, 1, 3]", "seeds: 3 is named twice; each seed trains every arm once"),
        (GOOD + "seeds: [-1]", "seeds[0]: input should be greater than or equal to 0"),
        ("arms: [full_alignment]\nlanguages: {en: {text: [python-docs]}}", "it needs a language with `clone_of`"),
        (GOOD + "arms: [full_alignment]\ninit: {lm_on: words}", "full_alignment reads running text in stage 1"),
        (GOOD + "model: {preset: base}", "there is no preset base of kind causal_lm; there are tiny, 20m"),
        (GOOD + "tokenizer: {extend_to: 9000}", "extend_to needs path, the tokenizer to extend"),
        (GOOD + "pretrain: {sampling_alpha: 0.3}", "remove it, or languages.en-x-clone.share"),
        (GOOD + "pretrain: {skip_steps: [[9, 8]]}", "[9, 8] ends before it begins"),
        (GOOD + "pretrain: {skip_steps: [[7, 9], [3, 7]]}", "[3, 7] and [7, 9] overlap"),
        (GOOD + "pretrain: {skip_steps: [[0, 9]]}", "greater than or equal to 1"),
    ],
)
def test_a_mistake_gets_a_sentence(tmp_path, text, sentence):
    (told,) = mistakes(tmp_path, text)
    assert sentence in told


def test_all_mistakes_of_the_alignment_loss_are_told_with_those_of_other_sections(tmp_path):
    text = GOOD + "init: {temperature: 5, learn_temperature: true, layers: 9-2}\npretrain: {max_stepz: 5}\n"
    place = tmp_path / "recipe.yaml"
    assert mistakes(tmp_path, text) == [
        f"  - {place}:9: init.temperature is 5.0; one that is learnt starts and stays between 0.01 and 1.0",
        f"  - {place}:9: init.layers is 9-2; a range begins with its lower end",
        f"  - {place}:10: pretrain.max_stepz is not a setting; did you mean max_steps?",
    ]
    (told,) = mistakes(tmp_path, GOOD, "--init.layers", "9-2")
    assert told == f"  - {place}: init.layers is 9-2; a range begins with its lower end"
    with pytest.raises(ValueError, match="a range begins with its lower end"):
        Recipe(languages={"en": {"text": ["python-docs"]}}, init=InitSettings(layers="9-2"))


def test_everything_that_does_not_fit_together_is_told_at_once(tmp_path):
    text = (
        "languages: {en: {text: [python-docs]}, en-x-clone: {clone_of: en}}\n"
        "arms: [full_alignment, during]\n"
        "dictionary: {pairs: [{source: en, target: de}, {source: en-x-clone, target: en}]}\n"
        "init: {max_steps: 20, lm_on: words, guard: {fr: 0.1}}\n"
        "pretrain: {max_steps: 10, global_batch_rows: 7, per_device_train_batch_size: 2, whole_word_masking: true}\n"
        "knowledge: {language: sw}\n"
    )
    told = mistakes(tmp_path, text)
    sentences = (
        "dictionary pair en-de: de is not among the languages",
        "dictionary pair en-x-clone-en needs `parallel` text or a `path`",
        "pretrain.global_batch_rows (7) must be a multiple",
        "arm full_alignment reads running text in stage 1",
        "arm during brings the 20 batches",
        "init.guard: fr is not among the languages",
        "pretrain.whole_word_masking is about hidden tokens",
        "knowledge.language: sw must be one of the languages",
    )
    assert len(told) == len(sentences)
    for line, sentence in zip(told, sentences, strict=True):
        assert line.startswith(f"  - {tmp_path / 'recipe.yaml'}: {sentence}")


def test_a_section_tells_all_its_mistakes(tmp_path):
    place = tmp_path / "recipe.yaml"
    text = "languages: {English: {text: [python-docs]}, de: {}, fr: {clone_of: xx}}\n"
    text += "dictionary: {aligner: simalign, encoder_method: softmax, train_sentence_pairs: 9}\n"
    assert [line.split(";")[0] for line in mistakes(tmp_path, text)] == [
        f"  - {place}:1: languages: 'English' is not a BCP 47 code such as en, zh or pt-BR",
        f"  - {place}:1: languages: language de has no `text` and is no clone of another",
        f"  - {place}:1: languages: language fr: `clone_of` must name another language of the recipe, which is no "
        "clone itself, and then `text` stays empty",
        f"  - {place}:2: dictionary: the aligner simalign learns nothing from the text, so there is nothing to train: "
        "leave out `train_sentence_pairs`",
        f"  - {place}:2: dictionary: the aligner simalign needs `encoder`, the folder of a multilingual encoder",
        f"  - {place}:2: dictionary: simalign has argmax and itermax",
    ]


@pytest.mark.parametrize("text", ["languages: [", "- a\n- b", "\tlanguages: 3"])
def test_text_that_is_no_recipe_is_refused(tmp_path, text):
    with pytest.raises(PrealignError, match=r"recipe\.yaml"):
        read_recipe(recipe_file(tmp_path, text))


def test_a_missing_recipe_and_a_missing_data_folder_are_named(tmp_path):
    with pytest.raises(PrealignError, match="does not exist"):
        read_recipe(tmp_path / "none.yaml")
    (told,) = mistakes(tmp_path, GOOD, "--data", str(tmp_path / "nowhere"))
    assert "nowhere does not exist; give it with --data" in told


def test_flags_override_values_and_are_checked_like_them(tmp_path):
    path = recipe_file(tmp_path, GOOD)
    recipe = read_recipe(
        path, ["--arms", "all", "--pretrain.optimizer.learning-rate", "1e-4", "--languages.en.share", "3"]
    )
    assert recipe.arms == ["joint", "prealign", "init_only", "switching_only"]
    assert recipe.pretrain.optimizer.learning_rate == 1e-4
    assert recipe.languages["en"].share == 3
    assert read_recipe(path, ["--pretrain.skip-steps", "3", "4", "9", "9"]).pretrain.skip_steps == [(3, 4), (9, 9)]
    (told,) = mistakes(
        tmp_path, GOOD, "--pretrain.global-batch-rows", "7", "--pretrain.per-device-train-batch-size", "2"
    )
    assert "must be a multiple" in told


def test_seeds_are_those_of_training_and_seed_is_that_of_the_data(tmp_path):
    path = recipe_file(tmp_path, GOOD + "seed: 7\n")
    one, several = read_recipe(path), read_recipe(path, ["--seeds", "3", "1", "--seed", "5"])
    assert (one.training_seeds, one.training_seed, one.with_seed(7)) == ([7], 7, one)
    assert (several.training_seeds, several.seed) == ([3, 1], 5)
    third = several.with_seed(3)
    assert (third.training_seed, third.seed, third.seeds) == (3, 5, [3])
    assert third.model_copy(update={"seeds": [3, 1]}) == several
    with pytest.raises(AssertionError):
        _ = several.training_seed


def test_data_given_as_a_flag_decides_where_inputs_are_looked_for(tmp_path):
    (tmp_path / "corpus.txt").write_text("x\n")
    path = recipe_file(tmp_path, "languages: {en: {text: [corpus.txt]}}")
    recipe = read_recipe(path, ["--data", str(tmp_path)])
    assert recipe.input("corpus.txt") == tmp_path / "corpus.txt"


def test_the_resolved_recipe_reads_back_equal(tmp_path):
    recipe = read_recipe(recipe_file(tmp_path, GOOD), ["--seed", "5"])
    write_recipe(recipe, tmp_path / "again" / "recipe.yaml")
    assert read_recipe(tmp_path / "again" / "recipe.yaml") == recipe
    assert read_recipe(tmp_path / "again") == recipe  # a run folder stands for its recipe


def test_lm_eval_asks_causal_models_only(tmp_path):
    with pytest.raises(PrealignError, match=r"eval\.lm_eval asks causal models only"):
        read_recipe(recipe_file(tmp_path, GOOD), ["--model.kind", "masked_lm", "--eval.lm-eval.tasks", "xnli_de"])


ROOT = Path(__file__).parents[2]
PUBLISHED = sorted([*ROOT.glob("recipes/*.yaml"), *ROOT.glob("alignment_dicts/*/recipe.yaml")])


@pytest.mark.parametrize("path", PUBLISHED, ids=lambda path: str(path.relative_to(ROOT)))
def test_published_recipes_have_no_mistake(path, request):
    needs_corpora = "\ndata: data\n" in path.read_text(encoding="utf-8")
    flags = ["--data", str(request.getfixturevalue("shared_data"))] if needs_corpora else []
    name = path.stem if path.parent.name == "recipes" else f"alignment_dicts/{path.parent.name}"
    assert read_recipe(path, flags).output == f"runs/{name}"
