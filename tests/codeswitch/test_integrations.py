"""The examples of docs/collator.md run as they stand, each where its library is installed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from prealign.corpora.clone import clone
from prealign.dictionary.dictionary import Dictionary

PAGE = Path(__file__).parents[2] / "docs" / "collator.md"
WORDS = ["the", "old", "house", "is", "open", "number", "of", "list", "words", "end"]


def examples() -> dict[str, str]:
    """The Python of each section of the page; what stands before the first section is for all of them."""
    common, *sections = re.split(r"^## ", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    code = {
        section.partition("\n")[0]: "\n".join(re.findall(r"^```python\n(.*?)^```", section, re.DOTALL | re.MULTILINE))
        for section in [f"\n{common}", *sections]
    }
    return {name: code[""] + text for name, text in code.items() if name and text}


@pytest.fixture
def quickstart(zoo: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the page takes from a finished run, much smaller."""
    run, tokenizer = tmp_path / "runs" / "quickstart", zoo["clone"]
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2,
        bos_token_id=1, eos_token_id=2, pad_token_id=3,
    )  # fmt: skip
    tokenizer.save_pretrained(run / "tokenizer")
    LlamaForCausalLM(config).save_pretrained(run / "init" / "aligned" / "model")
    (run / "dictionary").mkdir()
    pairs = [(word, clone(word)) for word in WORDS]
    Dictionary.from_pairs(pairs, "en", "en-x-clone").write(run / "dictionary" / "en--en-x-clone")
    monkeypatch.chdir(tmp_path)


def run_section(name: str) -> dict[str, Any]:
    names: dict[str, Any] = {}
    exec(compile(examples()[name], f"{PAGE.name}: {name}", "exec"), names)
    assert names["collator"](names["rows"])["input_ids"].shape[0] == 4
    return names


def test_every_section_with_python_is_tested() -> None:
    assert list(examples()) == [
        "Hugging Face Trainer", "TRL", "Accelerate", "Lightning", "A plain DataLoader", "What it returns",
        "Keep the table",
    ]  # fmt: skip


@pytest.mark.usefixtures("quickstart")
def test_hugging_face_trainer() -> None:
    names = run_section("Hugging Face Trainer")
    collator = names["collator"]
    assert collator.epoch == 1
    assert collator.ratio == 0.0  # the end of the schedule
    collator.ratio = 1.0
    batch = collator(names["evaluation"])
    assert torch.equal(batch["labels"][batch["attention_mask"] == 1], batch["input_ids"][batch["attention_mask"] == 1])


@pytest.mark.usefixtures("quickstart")
def test_accelerate() -> None:
    assert run_section("Accelerate")["collator"].epoch == 1


@pytest.mark.usefixtures("quickstart")
def test_plain_data_loader() -> None:
    assert run_section("A plain DataLoader")["collator"].epoch == 1


@pytest.mark.usefixtures("quickstart")
def test_padding_free() -> None:
    names = run_section("What it returns")
    flat = names["padding_free"](names["rows"])
    assert flat["input_ids"].shape == (1, flat["cu_seq_lens_q"][-1])


@pytest.mark.usefixtures("quickstart")
def test_keeping_the_table() -> None:
    names = run_section("Keep the table")
    assert names["collator"](names["rows"])["input_ids"].shape[0] == len(names["rows"])
    assert names["table"].folder is not None


@pytest.mark.usefixtures("quickstart")
def test_lightning() -> None:
    pytest.importorskip("lightning", reason="Lightning is no dependency: pip install lightning to run this test")
    assert run_section("Lightning")["collator"].epoch == 1


@pytest.mark.usefixtures("quickstart")
def test_trl() -> None:
    pytest.importorskip("trl", reason="TRL is no dependency: pip install trl to run this test")
    names = run_section("TRL")
    assert names["data"].num_rows == 4
    assert Path("runs/sft").is_dir()
