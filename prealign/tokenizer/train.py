"""Training a tokenizer: SentencePiece learns the pieces, a Hugging Face folder comes out.

Second stage of the pipeline, between corpora and token store. Choices, and why:

- Nothing of the text is lost but its normal form: no Unicode normalisation besides NFC, no dummy space at the
  beginning, runs of spaces kept, bytes for what has no piece. `decode(encode(text)) == text` for NFC text; only
  U+2581, which SentencePiece writes for a space, comes back as a space.
- Line ends and tabs are pieces of their own, and runs of spaces may be one piece (7 % fewer tokens on the Python docs).
- Every digit is a piece, so that numbers are cut alike everywhere.
- All printable ASCII characters are pieces, even ones the text lacks: code, numbers and English-Clone need them.
- Ids: `<unk>` 0, `<s>` 1, `</s>` 2, `<pad>` 3, then line end and tab, 256 bytes, learned pieces. No special token is
  added to encoded text; the token store puts `</s>` after documents.

SentencePiece gives the same model for the same documents in the same order (fixed number of threads, no sampling of
its own).
"""

from __future__ import annotations

import heapq
import io
import logging
import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

from prealign import draws
from prealign.config.settings import TokenizerSettings
from prealign.errors import PrealignError

log = logging.getLogger(__name__)

UNK, BOS, EOS, PAD = "<unk>", "<s>", "</s>", "<pad>"
MASK = "<mask>"
"""What stands for a hidden token; only the tokenizers of masked language models have it, behind all pieces."""
SPACE = "\u2581"
"""SentencePiece's sign for a space."""
OWN_PIECES = ["\n", "\t"]
ASCII = "".join(map(chr, range(0x21, 0x7F)))
MAX_LINE_BYTES = 4192
"""SentencePiece leaves out longer training lines without a word; ours are cut before that."""
MAX_CHARACTER_BYTES = 4
THREADS = 4
"""Fixed, since the sums of the unigram model's EM depend on it in the last digits."""
NEVER = -1000.0
"""A log probability far below that of any six characters."""
MODEL_FILE = "sentencepiece.model"


def train_tokenizer(documents: Iterable[str], settings: TokenizerSettings, folder: Path) -> None:
    """Train on `documents` (a sample of at most `settings.max_sentences`, by hash) and write a tokenizer folder.

    The folder holds what `AutoTokenizer.from_pretrained` reads, and SentencePiece's own model beside it.

    Raises:
        PrealignError: no text, or a vocabulary size that this text cannot give (the message names one that it can).
    """
    sample = sample_documents({"": documents}, settings.max_sentences)
    model = _train_sentencepiece(training_lines(sample), settings)
    tokenizer = _hugging_face_tokenizer(model, settings.model)
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save_pretrained(folder)
    (folder / MODEL_FILE).write_bytes(model)
    log.info("Trained a %s tokenizer of %s pieces into %s.", settings.model, f"{len(tokenizer):,}", folder)


def sample_documents(documents: Mapping[str, Iterable[str]], limit: int) -> Iterator[str]:
    """At most `limit` documents, the same number of each language where it has so many.

    They are chosen by the hash of their text; languages follow each other, and within one the order stays. Holds at
    most `limit` documents in memory.
    """
    per_language = max(1, limit // max(1, len(documents)))
    for stream in documents.values():
        chosen: list[tuple[int, int, str]] = []  # a heap whose first element has the largest hash
        for number, text in enumerate(stream):
            item = (-draws.key("tokenizer sample", text), -number, text)
            if len(chosen) < per_language:
                heapq.heappush(chosen, item)
            else:
                heapq.heappushpop(chosen, item)
        for _, _, text in sorted(chosen, key=lambda item: -item[1]):
            yield text


def training_lines(documents: Iterable[str]) -> Iterator[str]:
    """Documents cut at line ends and tabs (pieces of their own), and at spaces where still too long."""
    for document in documents:
        for line in re.split(r"[\n\t]", document.replace(SPACE, " ").replace("\0", "")):
            while len(line) * MAX_CHARACTER_BYTES > MAX_LINE_BYTES and len(line.encode()) > MAX_LINE_BYTES:
                border = line.rfind(" ", 1, MAX_LINE_BYTES // MAX_CHARACTER_BYTES)
                border = border if border > 0 else MAX_LINE_BYTES // MAX_CHARACTER_BYTES
                yield line[:border]
                line = line[border:]
            if line:
                yield line


def _train_sentencepiece(lines: Iterator[str], settings: TokenizerSettings) -> bytes:
    """The serialised SentencePiece model."""
    import sentencepiece

    first = next(lines, None)
    if first is None:
        raise PrealignError(
            "There is no text to train a tokenizer on; check the `text` files of the recipe's languages."
        )
    model = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=chain([first], lines),
            model_writer=model,
            model_type=settings.model,
            vocab_size=settings.vocab_size,
            byte_fallback=True,
            character_coverage=0.9995,
            required_chars=ASCII,
            normalization_rule_name="identity",
            add_dummy_prefix=False,
            remove_extra_whitespaces=False,
            allow_whitespace_only_pieces=True,
            split_digits=True,
            user_defined_symbols=OWN_PIECES,
            unk_id=0,
            bos_id=1,
            eos_id=2,
            pad_id=3,
            unk_piece=UNK,
            bos_piece=BOS,
            eos_piece=EOS,
            pad_piece=PAD,
            num_threads=THREADS,
            max_sentence_length=MAX_LINE_BYTES,
            minloglevel=2,
        )
    except RuntimeError as error:
        raise _about_size(str(error), settings) from None
    return model.getvalue()


def _about_size(message: str, settings: TokenizerSettings) -> PrealignError:
    """SentencePiece's complaints about the vocabulary size, with the sizes that would do."""
    if found := re.search(r"too high \(\d+\).*value <= (\d+)", message):
        return PrealignError(
            f"tokenizer.vocab_size is {settings.vocab_size:,}, but this text gives no more than {int(found[1]):,} "
            f"pieces. Set tokenizer.vocab_size to {int(found[1])} or less, or add text."
        )
    if found := re.search(r"smaller than required_chars\. \d+ vs (\d+)", message):
        return PrealignError(
            f"tokenizer.vocab_size is {settings.vocab_size:,}, but the bytes, special tokens and characters of this "
            f"text alone are {int(found[1]):,} pieces. Set tokenizer.vocab_size well above {int(found[1])}."
        )
    return PrealignError(f"SentencePiece could not train the tokenizer: {message}")


def _hugging_face_tokenizer(model: bytes, kind: str) -> Any:
    """A `PreTrainedTokenizerFast` that encodes as the SentencePiece model does.

    There is no pre-tokenizer: no piece reaches over the beginning of a run of spaces anyhow, and cutting there first
    (by regular expression) costs as much time as it saves. Where two ways to cut a unigram text have the same score,
    SentencePiece's 32-bit sums and the 64-bit ones here may choose differently (in 27 of 33,000 documents of seven
    languages).
    """
    import sentencepiece
    from tokenizers import Tokenizer, decoders, normalizers
    from transformers import PreTrainedTokenizerFast

    processor = sentencepiece.SentencePieceProcessor(model_proto=model)
    tokenizer = Tokenizer(_bpe(processor) if kind == "bpe" else _unigram(processor))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Replace(" ", SPACE)])
    tokenizer.decoder = decoders.Sequence([decoders.Replace(SPACE, " "), decoders.ByteFallback(), decoders.Fuse()])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        unk_token=UNK,
        bos_token=BOS,
        eos_token=EOS,
        pad_token=PAD,
        clean_up_tokenization_spaces=False,
    )


def _unigram(processor: Any) -> Any:
    """The pieces with their scores.

    Line ends and tabs are in no other piece, so their score is never compared. Byte pieces would be found in a text
    that spells them out ("<0x41>"), which SentencePiece does not do; their score here keeps them from it.
    """
    from tokenizers import models

    numbers = range(processor.vocab_size())
    scores = [NEVER if processor.is_byte(number) else processor.get_score(number) for number in numbers]
    pieces = [processor.id_to_piece(number) for number in numbers]
    return models.Unigram(list(zip(pieces, scores, strict=True)), unk_id=processor.unk_id(), byte_fallback=True)


def _bpe(processor: Any) -> Any:
    """The pieces, and as merges every way to put a piece together from two others, best piece first.

    SentencePiece joins any two neighbours that make a known piece, not only the two it met in training, so all splits
    of a piece are merges of its rank.
    """
    from tokenizers import models

    vocabulary = {processor.id_to_piece(number): number for number in range(processor.vocab_size())}
    learned = [piece for piece, number in vocabulary.items() if _is_learned(processor, number)]
    scores = {piece: processor.get_score(vocabulary[piece]) for piece in learned}
    merges: list[tuple[str, str]] = []
    for piece in sorted(learned, key=lambda piece: -scores[piece]):
        splits = ((piece[:cut], piece[cut:]) for cut in range(1, len(piece)))
        merges += [(left, right) for left, right in splits if left in scores and right in scores]
    return models.BPE(vocabulary, merges, unk_token=UNK, fuse_unk=True, byte_fallback=True)


def _is_learned(processor: Any, number: int) -> bool:
    is_own = processor.id_to_piece(number) in OWN_PIECES
    return not (is_own or processor.is_control(number) or processor.is_byte(number) or processor.is_unknown(number))
