"""The README's Python runs as it stands, after a run has made the folders it names."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

README = Path(__file__).parents[2] / "README.md"


@pytest.mark.slow
def test_the_collator_example_runs_in_a_plain_trainer(finished_run, tmp_path, monkeypatch):
    folder, _ = finished_run
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "quickstart").symlink_to(folder)
    monkeypatch.chdir(tmp_path)
    (example,) = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    names: dict = {}
    exec(compile(example, "README.md", "exec"), names)
    batch = names["collator"](names["rows"])
    assert set(batch) == {"input_ids", "attention_mask", "labels"}
    assert (tmp_path / "runs" / "trainer").is_dir()
