"""The Python of docs/corpora.md runs as it stands."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "corpora.md"


def test_a_segmenter_of_ones_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (program,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    pairs = [
        f"{a} {b}\t{x}·{y}" for a, x in (("one", "หนึ่ง"), ("two", "สอง")) for b, y in (("cat", "แมว"), ("dog", "หมา"))
    ]
    (tmp_path / "corpus.en-th.tsv").write_text("\n".join(pairs), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    exec(compile(program, str(PAGE), "exec"), {"__name__": "page"})
    card = json.loads((tmp_path / "en-th" / "card.json").read_text(encoding="utf-8"))
    assert card["target_segmenter"] == "page.my_words"
    assert card["target_running_words"] == 8
