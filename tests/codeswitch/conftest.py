"""A zoo of small tokenizers trained on the spot, and a dictionary in several scripts."""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Callable

import pytest
import sentencepiece
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from prealign.codeswitch.table import CodeSwitchTable
from prealign.config.settings import TokenizerSettings
from prealign.dictionary.dictionary import Dictionary
from prealign.tokenizer.clone import double_tokenizer
from prealign.tokenizer.train import train_tokenizer

TEXTS = [
    "The house stands near the river, and the old man in the house reads a book about water.",
    "A dog and a cat drink water. The dog sees the river; the cat sees the house!",
    "New York is a big city. In New York the water is clean, the book is old and the house is new.",
    "Das Haus steht am Fluss, und der alte Mann im Haus liest ein Buch über Wasser. Die Straße ist groß.",
    "Дом стоит у реки, и старик в доме читает книгу о воде. Собака пьёт воду, кошка видит дом.",
    "البيت قرب النهر والرجل يقرأ كتابا عن الماء. الكلب يشرب الماء والقط يرى البيت",
    "我爱中国。房子在河边,老人在房子里读一本书。狗喝水,猫看见河。",
    "घर नदी के पास है और बूढ़ा आदमी घर में पानी के बारे में किताब पढ़ता है।",
    "บ้านอยู่ใกล้แม่น้ำ ชายชราอ่านหนังสือเกี่ยวกับน้ำในบ้าน หมาดื่มน้ำ",
    "“Water,” said the man (old), 'house' — dog/cat… 😀 café cafe\u0301 naïve",
]
WORDS = {
    "de": {
        "house": ["Haus", "Gebäude"], "water": ["Wasser"], "dog": ["Hund"], "cat": ["Katze"], "old": ["alt"],
        "river": ["Fluss", "Strom"], "book": ["Buch"], "man": ["Mann"], "New York": ["Neu-York"], "new": ["neu"],
        "city": ["große Stadt"],
    },
    "zh": {
        "house": ["房子"], "water": ["水"], "dog": ["狗"], "cat": ["猫"], "river": ["河"], "book": ["书"],
        "old": ["老"], "New York": ["纽约"], "the": ["这"],
    },
    "ar": {"house": ["البيت"], "water": ["الماء"], "dog": ["الكلب"], "book": ["كتاب"], "river": ["النهر"]},
    "ru": {
        "house": ["дом"], "water": ["вода"], "dog": ["собака"], "book": ["книга"], "river": ["река"],
        "man": ["мужчина"],
    },
}  # fmt: skip
ALPHABET = (
    "abcdefghijklmnopqrstuvwxyzabc 1234567890123 - _ @ \\ / : ; ? . , ' \" “ ” ‘ ’ « » „ ( ) [ ] { } < > … – — ! "
    "ärößéıiışğ İIŞÖ I\u0307i\u0307I col lecció νερό Νερό ΝΕΡΌ מים צה ל ־ ״ 물 을 a물을을 의 本 を 飲 む が キ ャ ー"
)
"""What a tokenizer without bytes needs to write the words of the tests."""
SPECIAL = ["<unk>", "<s>", "</s>", "<pad>"]


def byte_level() -> Tokenizer:
    """GPT-2's kind: any byte can be written, a token may end inside a character."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=700, initial_alphabet=alphabet, special_tokens=SPECIAL, show_progress=False
    )
    tokenizer.train_from_iterator(TEXTS, trainer)
    return tokenizer


def byte_level_glueing() -> Tokenizer:
    """GPT-4's and Llama 3's kind: one punctuation mark may stand in a token with the letters after it."""
    tokenizer = Tokenizer(models.BPE())
    pattern = Regex(r"[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(pattern, "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=700, initial_alphabet=alphabet, special_tokens=SPECIAL, show_progress=False
    )
    tokenizer.train_from_iterator(TEXTS, trainer)
    return tokenizer


def metaspace_bpe() -> Tokenizer:
    """Llama 2's kind: a space is part of the piece, bytes for what no piece covers."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    byte_tokens = [f"<0x{byte:02X}>" for byte in range(256)]
    # SentencePiece, which makes such tokenizers, joins no letter and punctuation into one piece; "house!" would be one.
    texts = [text.replace("!", " !") for text in TEXTS if "😀" not in text]
    # Told, because the trainer cuts equally frequent characters in another order each time.
    counts = Counter(character for text in texts for character in text if not character.isspace())
    alphabet = ["▁", *sorted(counts, key=lambda character: (-counts[character], character))[:89]]
    trainer = trainers.BpeTrainer(
        vocab_size=700, special_tokens=[*SPECIAL, *byte_tokens], initial_alphabet=alphabet, limit_alphabet=90,
        show_progress=False,
    )  # fmt: skip
    tokenizer.train_from_iterator(texts, trainer)
    # The byte tokens must be plain vocabulary, not added tokens, as in converted SentencePiece models.
    definition = json.loads(tokenizer.to_str())
    definition["added_tokens"] = [item for item in definition["added_tokens"] if item["content"] in SPECIAL]
    return Tokenizer.from_str(json.dumps(definition))


def unigram() -> Tokenizer:
    """SentencePiece unigram with its own normalisation and byte fallback."""
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(TEXTS * 3), model_writer=model, model_type="unigram", vocab_size=560, byte_fallback=True,
        unk_id=0, bos_id=1, eos_id=2, pad_id=3, minloglevel=2, hard_vocab_limit=False,
    )  # fmt: skip
    processor = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
    vocabulary = [(processor.id_to_piece(i), processor.get_score(i)) for i in range(processor.get_piece_size())]
    tokenizer = Tokenizer(models.Unigram(vocabulary, unk_id=0, byte_fallback=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    return tokenizer


def wordpiece(lowercase: bool) -> Tokenizer:
    tokenizer = Tokenizer(models.WordPiece(unk_token="<unk>"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=lowercase)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    trainer = trainers.WordPieceTrainer(vocab_size=1200, special_tokens=SPECIAL, show_progress=False)
    tokenizer.train_from_iterator([*TEXTS, ALPHABET, *map(str.upper, [*TEXTS, ALPHABET])], trainer)
    return tokenizer


BUILDERS: dict[str, Callable[[], Tokenizer]] = {
    "byte-level": byte_level,
    "byte-level-glueing": byte_level_glueing,
    "metaspace-bpe": metaspace_bpe,
    "unigram": unigram,
    "wordpiece": lambda: wordpiece(lowercase=False),
    "wordpiece-uncased": lambda: wordpiece(lowercase=True),
}


NAMES = [*BUILDERS, "clone"]


@pytest.fixture(scope="session")
def zoo(tmp_path_factory: pytest.TempPathFactory) -> dict[str, PreTrainedTokenizerFast]:
    """Tokenizers by name; the last is one of our own with every piece doubled for the clone language."""
    tokenizers = {
        name: PreTrainedTokenizerFast(
            tokenizer_object=build(), unk_token="<unk>", bos_token="<s>", eos_token="</s>", pad_token="<pad>",
            clean_up_tokenization_spaces=False, name_or_path=name,
        )
        for name, build in BUILDERS.items()
    }  # fmt: skip
    folder = tmp_path_factory.mktemp("clone")
    train_tokenizer(iter(TEXTS * 3), TokenizerSettings(vocab_size=520), folder / "single")
    double_tokenizer(folder / "single", folder / "double")
    tokenizers["clone"] = PreTrainedTokenizerFast.from_pretrained(folder / "double")
    return tokenizers


@pytest.fixture(scope="session")
def dictionaries() -> dict[str, Dictionary]:
    """English with German, Chinese, Arabic and Russian."""
    return {
        code: Dictionary.from_pairs([(s, t) for s, targets in words.items() for t in targets], "en", code)
        for code, words in WORDS.items()
    }


@pytest.fixture(scope="session")
def tables(zoo: dict[str, PreTrainedTokenizerFast], dictionaries: dict[str, Dictionary]) -> dict[str, CodeSwitchTable]:
    """One table with all dictionaries for each tokenizer."""
    return {name: CodeSwitchTable.compile(list(dictionaries.values()), tokenizer) for name, tokenizer in zoo.items()}


@pytest.fixture(scope="session")
def words() -> dict[str, dict[str, list[str]]]:
    """What the dictionaries hold: language -> source -> translations."""
    return WORDS


@pytest.fixture(scope="session")
def texts() -> list[str]:
    """Small texts in many scripts."""
    return TEXTS
