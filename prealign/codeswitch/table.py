"""The code-switching table: dictionaries compiled for one tokenizer into flat arrays.

Everything about words, case, spaces and scripts is settled when a table is compiled; switching then walks token ids
(switch.py). A table is saved as a folder of .npy files and mapped from disk when loaded, so that workers share one
copy.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prealign import files
from prealign.codeswitch import arrays as flat
from prealign.codeswitch.arrays import Arrays
from prealign.codeswitch.report import CompileReport
from prealign.codeswitch.vocabulary import cutting_fingerprint, tokenizer_name
from prealign.corpora.text_tokenizer import FastTokenizer
from prealign.errors import PrealignError

if TYPE_CHECKING:
    from prealign.dictionary.dictionary import Dictionary


log = logging.getLogger(__name__)

FORMAT = 3
MANIFEST = "table.json"
MANY_ENTRIES = 20_000
"""From here on compiling takes seconds, and is announced."""


@dataclass(frozen=True, slots=True, repr=False)
class CodeSwitchTable:
    """What may be switched in token ids, and by what."""

    arrays: Arrays
    source_language: str
    target_languages: list[str]
    vocab_size: int
    tokenizer_fingerprint: str
    fingerprint: str
    """16 hex digits that stand for the content of all arrays."""
    report: CompileReport
    folder: Path | None = None
    """Where the table was loaded from; a pickled copy is then mapped from there again instead of carrying the
    arrays."""

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        if self.folder is not None:
            return CodeSwitchTable.load, (self.folder,)
        return _unpickled, tuple(getattr(self, field.name) for field in fields(self))

    def __repr__(self) -> str:
        pair = f"{self.source_language} -> {', '.join(self.target_languages)}"
        return f"<CodeSwitchTable {self.fingerprint}: {pair}, {self.report.keys:,} keys for {self.report.tokenizer}>"

    @classmethod
    def compile(
        cls, dictionaries: Sequence[Dictionary], tokenizer: FastTokenizer, *, weights: Mapping[str, float] | None = None
    ) -> CodeSwitchTable:
        """Compile dictionaries of one source language for a tokenizer.

        Args:
            dictionaries: one or more, to the same or to several target languages.
            tokenizer: a fast Hugging Face tokenizer.
            weights: target language -> weight, 1 where none is given; a word that several languages translate goes to
                each in proportion to its weight.
        Raises:
            PrealignError: nothing usable is left, or fewer than half of the words would be matched in text.
        """
        from prealign.codeswitch.compile import (
            build_arrays,
            garbage_collection_paused,
        )  # numba, tokenizers: not needed to load a table
        from prealign.codeswitch.encode import Encoder
        from prealign.codeswitch.groups import group
        from prealign.codeswitch.self_test import check, run_self_test
        from prealign.codeswitch.vocabulary import read_vocabulary

        began = time.monotonic()
        report = CompileReport(tokenizer=tokenizer_name(tokenizer))
        if (n_entries := sum(map(len, dictionaries))) >= MANY_ENTRIES:
            log.info(
                "Compiling a switching table of %s entries for the tokenizer %s; about a minute of one core for each "
                "million forms and translations.",
                f"{n_entries:,}",
                report.tokenizer,
            )
        with garbage_collection_paused():
            groups = group(dictionaries, weights, report.drops)
            vocabulary = read_vocabulary(tokenizer)
            encoder = Encoder(tokenizer, vocabulary)
            arrays, forms = build_arrays(groups, encoder, report)
            report.self_test = run_self_test(arrays, encoder, forms)
        report.seconds = time.monotonic() - began
        check(report)
        return cls(
            arrays=arrays,
            source_language=dictionaries[0].source_language,
            target_languages=groups.languages,
            vocab_size=len(vocabulary),
            tokenizer_fingerprint=vocabulary.fingerprint,
            fingerprint=_fingerprint(arrays),
            report=report,
        )

    def save(self, folder: Path) -> None:
        """Write the table as a folder, whole or not at all."""
        with files.whole(folder) as temporary:
            temporary.mkdir(parents=True)
            flat.save(self.arrays, temporary)
            files.write_json(
                temporary / MANIFEST,
                {
                    "format": FORMAT,
                    "source_language": self.source_language,
                    "target_languages": self.target_languages,
                    "vocab_size": self.vocab_size,
                    "tokenizer_fingerprint": self.tokenizer_fingerprint,
                    "fingerprint": self.fingerprint,
                    "arrays": flat.layout(self.arrays),
                    "report": self.report.as_dict(),
                },
            )

    @classmethod
    def load(cls, folder: Path) -> CodeSwitchTable:
        """Map a saved table from disk."""
        manifest = files.read_json(folder / MANIFEST)
        if manifest.get("format") != FORMAT:
            raise PrealignError(
                f"{folder} holds a switching table of format {manifest.get('format')}; this version reads format "
                f"{FORMAT}. Compile it again."
            )
        try:
            arrays = flat.load(folder)
            if flat.layout(arrays) != manifest["arrays"]:
                raise ValueError("its arrays are not those that were saved")
            return cls(
                arrays=arrays,
                source_language=manifest["source_language"],
                target_languages=manifest["target_languages"],
                vocab_size=manifest["vocab_size"],
                tokenizer_fingerprint=manifest["tokenizer_fingerprint"],
                fingerprint=manifest["fingerprint"],
                report=CompileReport.from_dict(manifest["report"]),
                folder=folder.absolute(),
            )
        except (OSError, ValueError, KeyError) as error:
            raise PrealignError(f"The switching table {folder} is not whole: {error}. Compile it again.") from None

    def check_tokenizer(self, tokenizer: FastTokenizer) -> None:
        """Refuse a tokenizer that the table was not compiled for."""
        if cutting_fingerprint(tokenizer) != self.tokenizer_fingerprint:
            raise PrealignError(
                f"The switching table was compiled for another tokenizer ({self.report.tokenizer}) than "
                f"{tokenizer_name(tokenizer)}. Compile it for this one: "
                f"CodeSwitchTable.compile(dictionaries, tokenizer)."
            )


def _unpickled(arrays: Arrays, *others: Any) -> CodeSwitchTable:
    """A table whose arrays came by pickle: locked again, so that the same compiled code runs."""
    return CodeSwitchTable(flat.read_only(arrays), *others)


def _fingerprint(arrays: Arrays) -> str:
    digest = hashlib.blake2b(digest_size=8)
    for name, array in arrays._asdict().items():
        digest.update(f"{name}{array.dtype}{array.shape}".encode())
        digest.update(array)
    return digest.hexdigest()
