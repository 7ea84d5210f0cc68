"""prealign: multilingual alignment before pretraining, kept alive during pretraining.

The library face is small: `Dictionary`, `CodeSwitchTable`, `CodeSwitchCollator`, `word_alignment_loss`. Each name is
imported when first used, so that `import prealign` and the command line never wait for torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from prealign.codeswitch.collator import CodeSwitchCollator
    from prealign.codeswitch.table import CodeSwitchTable
    from prealign.dictionary.dictionary import Dictionary
    from prealign.errors import PrealignError
    from prealign.objectives.word_alignment import word_alignment_loss

__version__ = "0.1.0"

_HOMES = {
    "CodeSwitchCollator": "prealign.codeswitch.collator",
    "CodeSwitchTable": "prealign.codeswitch.table",
    "Dictionary": "prealign.dictionary.dictionary",
    "PrealignError": "prealign.errors",
    "word_alignment_loss": "prealign.objectives.word_alignment",
}
__all__ = ["CodeSwitchCollator", "CodeSwitchTable", "Dictionary", "PrealignError", "__version__", "word_alignment_loss"]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'prealign' has no attribute {name!r}")
