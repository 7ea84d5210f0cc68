"""Settings of tasks that lm-evaluation-harness runs."""

from __future__ import annotations

from prealign.config.fields import Count, LocalPath, Settings


class LmEvalSettings(Settings):
    """Tasks of lm-evaluation-harness (extra `eval`), for causal models."""

    tasks: list[str] = []
    """Names of its tasks and groups: xnli_de, xcopa_zh, xstorycloze_ru, belebele_deu_Latn; none: it is not used. Their
    data come from the Hugging Face hub, or from its cache where there is no network."""
    include_path: LocalPath | None = None
    """Folder with tasks of your own, YAML files as lm-eval reads them."""
    limit: Count | None = None
    """Take only the first so many questions of each task; none: all."""
