"""New languages for an existing tokenizer: more pieces, while every text keeps its old cuts as borders of new tokens.

An existing tokenizer cuts a language that it was not made for into too many tokens. Here it gets pieces for that
language such that

    new tokens of a text, each written as the old tokens it stands for  =  old tokens of the text

for every text of every language: a new piece only ever joins old tokens that stand beside each other. What a model
knows of the old tokens therefore stays true, and a new piece has a natural first row, the mean of the rows of its old
tokens (`model/vocabulary.py`). Pieces are learned by byte-pair encoding on top of the old tokens, inside words
(`tokenizer/merges.py`), and enter by the tokenizer's own means:

- BPE, over bytes or characters: as merges behind all old ones. Old merges are carried out first, as before.
- Unigram: with the sum of the scores of its old tokens, and a grain on top (1e-6 for each join). So the best way to cut
  a text is the old one, with tokens joined where they can be; the fewest tokens win, then the pieces learned first.

Characters that the old tokenizer cannot write (unknown, or single bytes in a tokenizer over characters) become pieces
first. WordPiece is refused: it takes the longest piece from the left, so that any new piece moves the cuts behind it.

Text of the other languages changes where it holds a new piece. A pair of tokens that they show more than a hundredth as
often as the new languages do is left alone; how much of their text is written with new pieces is measured and told.
Adding pieces by `add_tokens` instead would find them in the middle of any word, before the tokenizer has seen the text.
"""

from __future__ import annotations

import logging
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from prealign import files
from prealign.corpora.text_tokenizer import text_tokenizer_of
from prealign.corpora.words import Segmenter, has_digit
from prealign.errors import PrealignError
from prealign.tokenizer.clone import BYTE_PIECE, COPIED, TOKENIZER_FILE, take_in_added_tokens
from prealign.tokenizer.merges import Pair, learn_merges

log = logging.getLogger(__name__)

NEW_PIECES_FILE = "new_pieces.json"
MIN_COUNT = 5
"""A character or pair that occurs less often in the sample is not worth a row of the embeddings."""
FOREIGN = 0.01
"""A pair is left alone that old languages show more than this times as often, per token, as the new ones."""
UNKNOWN_PENALTY = 10.0
"""What Unigram takes off the lowest score for a character without a piece: new characters cost just as much."""
GRAIN = 1e-6
"""Score of a join in a Unigram tokenizer: far below any difference between old scores, far above rounding."""


def extend_tokenizer(
    source: Path,
    folder: Path,
    new: Mapping[str, Sequence[str]],
    kept: Mapping[str, Sequence[str]],
    vocab_size: int,
) -> dict[str, Any]:
    """Write the tokenizer of the folder `source`, extended to `vocab_size` ids, into `folder`.

    Ids of the old pieces stay. Beside the tokenizer lies `new_pieces.json`: new id -> the old ids that stood for it.

    Args:
        new: documents of the languages that get pieces, by BCP 47 code.
        kept: documents of the languages that should stay as they are.
    Returns:
        The numbers of `old` ids, new `characters` and new `pieces`, and by language what became of its text
        (`measure`).
    Raises:
        PrealignError: the tokenizer is of a kind that cannot be extended, or has as many ids already.
    """
    extension = _Extension(files.read_json(source / TOKENIZER_FILE), source)
    if vocab_size <= extension.size:
        raise PrealignError(
            f"tokenizer.extend_to is {vocab_size:,}, and the tokenizer in {source} has {extension.size:,} ids already. "
            "Give a larger number, or leave the setting out."
        )
    old_size = extension.size
    extension.add_characters(new, vocab_size)
    n_characters = extension.size - old_size
    extension.add_pieces(new, kept, vocab_size)
    if extension.size < vocab_size:
        log.warning(
            "The text of %s gives no more than %s new pieces that occur %s times: the tokenizer has %s ids, not %s.",
            ", ".join(new), f"{extension.size - old_size:,}", MIN_COUNT, f"{extension.size:,}", f"{vocab_size:,}",
        )  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    files.write_json(folder / TOKENIZER_FILE, extension.content)
    files.write_json(folder / NEW_PIECES_FILE, {str(piece): ids for piece, ids in extension.old_ids.items()})
    for name in COPIED:
        if (source / name).is_file() and source != folder:
            shutil.copyfile(source / name, folder / name)
    before, after = _core(files.read_json(source / TOKENIZER_FILE)), _core(extension.content)
    return {
        "old": old_size,
        "characters": n_characters,
        "pieces": extension.size - old_size - n_characters,
        "languages": {
            code: measure(before, after, set(extension.old_ids), documents, code)
            for code, documents in {**kept, **new}.items()
        },
    }


def read_new_pieces(folder: Path) -> dict[int, list[int]]:
    """New id -> the old ids that stood for it, of an extended tokenizer; empty for any other."""
    path = folder / NEW_PIECES_FILE
    return {int(piece): ids for piece, ids in files.read_json(path).items()} if path.is_file() else {}


def measure(before: Any, after: Any, new_ids: set[int], documents: Iterable[str], language: str) -> dict[str, float]:
    """What an extension did to documents of a language.

    Returns:
        tokens_per_word_before, tokens_per_word: with the old and the new tokenizer; new_pieces_per_word: how many of
        these tokens are new pieces.
    """
    segmenter = Segmenter(language)
    counts: Counter[str] = Counter()
    for text in documents:
        now = after.encode(text, add_special_tokens=False).ids
        counts["words"] += len(segmenter.spans(text))
        counts["before"] += len(before.encode(text, add_special_tokens=False).ids)
        counts["after"] += len(now)
        counts["new"] += sum(number in new_ids for number in now)
    words = max(1, counts["words"])
    return {
        "tokens_per_word_before": counts["before"] / words,
        "tokens_per_word": counts["after"] / words,
        "new_pieces_per_word": counts["new"] / words,
    }


class _Extension:
    """A tokenizer.json that grows."""

    def __init__(self, content: dict[str, Any], source: Path) -> None:
        self.content = content
        self.model: dict[str, Any] = content["model"]
        _check_can_be_extended(content, source)
        self.is_unigram = self.model["type"] == "Unigram"
        take_in_added_tokens(self.model, content["added_tokens"])
        if self.is_unigram:
            self.pieces = [piece for piece, _ in self.model["vocab"]]
            self.scores = [score for _, score in self.model["vocab"]]
        else:
            self.pieces = sorted(self.model["vocab"], key=self.model["vocab"].__getitem__)
        self.ids = {piece: number for number, piece in enumerate(self.pieces)}
        self.size = len(self.pieces)
        self.old_size = self.size
        self.special = {token["content"] for token in content["added_tokens"]}
        unknown = {self.model.get("unk_id"), self.ids.get(self.model.get("unk_token") or "")} - {None}
        self.lost = unknown | {number for piece, number in self.ids.items() if BYTE_PIECE.fullmatch(piece)}
        """What characters without a piece are written with: the unknown token, single bytes. These are never joined,
        since "<0xE6>" inside a longer piece would be read as six characters."""
        self.old_ids: dict[int, list[int]] = {}
        """New id -> the old ids that stood for it."""

    def add_characters(self, new: Mapping[str, Sequence[str]], vocab_size: int) -> None:
        """Give pieces to characters that are unknown or written in bytes, the most frequent first.

        Half of the new ids are left for longer pieces.
        """
        core = _core(self.content)
        counts = Counter(character for documents in new.values() for text in documents for character in text)
        cost = min(self.scores) - UNKNOWN_PENALTY if self.is_unigram else 0.0
        for character, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
            if count < MIN_COUNT or self.size - self.old_size >= (vocab_size - self.old_size) // 2:
                break
            normal = core.normalizer.normalize_str(character) if core.normalizer else character
            ids = core.encode(character, add_special_tokens=False).ids
            if len(normal) == 1 and normal not in self.ids and not self.lost.isdisjoint(ids):
                self._add(normal, [number for number in ids if number in self.lost], cost)

    def add_pieces(self, new: Mapping[str, Sequence[str]], kept: Mapping[str, Sequence[str]], vocab_size: int) -> None:
        """Learn pieces on the new languages' words until there are `vocab_size` ids."""
        core = _core(self.content)
        words: Counter[tuple[int, ...]] = Counter()
        n_tokens = 0
        for code, documents in new.items():
            segmenter = Segmenter(code)
            for text in documents:
                encoding = core.encode(text, add_special_tokens=False)
                n_tokens += len(encoding.ids)
                words.update(tokens_of_words(text, segmenter.spans(text), encoding.ids, encoding.offsets))
        foreign: Counter[Pair] = Counter()
        n_foreign = 0
        for documents in kept.values():
            for text in documents:
                ids = core.encode(text, add_special_tokens=False).ids
                n_foreign += len(ids)
                foreign.update(pairwise(ids))
        here: Counter[Pair] = Counter()
        for word, count in words.items():
            for pair in pairwise(word):
                here[pair] += count
        left_alone = {
            pair
            for pair, count in here.items()
            if foreign[pair] * max(1, n_tokens) > FOREIGN * count * max(1, n_foreign) or not self.lost.isdisjoint(pair)
        }
        merges = learn_merges(words, lambda pair: None if pair in left_alone else self._join(pair), MIN_COUNT)
        while self.size < vocab_size and next(merges, None) is not None:
            pass
        if self.is_unigram:
            self._rank()

    def _join(self, pair: Pair) -> int | None:
        """The id of two tokens in one; None where there must be none."""
        left, right = (self.pieces[number] for number in pair)
        piece = left + right
        # An old piece that is not written where its parts stand side by side: a Unigram piece that loses to them, or a
        # BPE piece that no merge reaches. Its id stands for other tokens than these.
        if piece in self.special or self.ids.get(piece, self.old_size) < self.old_size:
            return None
        if piece in self.ids and self.is_unigram:  # a new piece that loses to these parts of it
            return None
        if not self.is_unigram:
            self.model["merges"].append([left, right])
        if piece not in self.ids:
            score = sum(self.scores[number] for number in pair) + GRAIN if self.is_unigram else 0.0
            self._add(piece, [old for number in pair for old in self.old_ids.get(number, [number])], score)
        return self.ids[piece]

    def _add(self, piece: str, old_ids: list[int], score: float) -> None:
        self.ids[piece] = self.size
        self.old_ids[self.size] = old_ids
        self.pieces.append(piece)
        if self.is_unigram:
            self.scores.append(score)
            self.model["vocab"].append([piece, score])
        else:
            self.model["vocab"][piece] = self.size
        self.size += 1

    def _rank(self) -> None:
        """Let the piece that was learned first win between two equal ways to cut: at most a hundredth of a grain."""
        for number in self.old_ids:
            early = 1.0 - (number - self.old_size) / (self.size - self.old_size)
            self.model["vocab"][number][1] += 0.01 * GRAIN * early


def tokens_of_words(
    text: str, spans: Iterable[tuple[int, int]], ids: Sequence[int], offsets: Sequence[tuple[int, int]]
) -> Iterator[tuple[int, ...]]:
    """The tokens of each word that is cut into several, with the space before it; numbers are left out.

    Args:
        spans: (start, end) of the words in `text`; ids, offsets: its tokens and where they stand.
    """
    place = 0
    for start, end in spans:
        start -= text[start - 1 : start] == " "
        while place < len(ids) and offsets[place][0] < start:
            place += 1
        begin = place
        while place < len(ids) and offsets[place][0] < end and offsets[place][1] <= end:
            place += 1
        if place - begin > 1 and not has_digit(text[start:end]):
            yield tuple(ids[begin:place])


def _core(content: dict[str, Any]) -> Any:
    """A text tokenizer whose offsets cover the spaces that belong to tokens."""
    return text_tokenizer_of({**content, "post_processor": None})


def _check_can_be_extended(content: dict[str, Any], source: Path) -> None:
    model = content["model"]
    odd = [name for name in ("continuing_subword_prefix", "end_of_word_suffix", "dropout") if model.get(name)]
    if model["type"] not in ("Unigram", "BPE") or odd:
        kind = f"{model['type']} with {odd[0]}" if odd else model["type"]
        raise PrealignError(
            f"The tokenizer in {source} is of kind {kind}; only BPE and Unigram tokenizers can be extended so that old "
            "text keeps its cuts. Leave out tokenizer.extend_to."
        )
