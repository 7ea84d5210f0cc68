"""English text that every machine has: the documentation inside the running Python interpreter.

The source `python-docs` of a recipe. Two parts: the language reference behind `help()` (`pydoc_data/topics.py`) and the
docstrings of the standard library. Source files are parsed with `ast`; nothing is imported or executed. About 1,900
documents and 1.9 MB with Python 3.11; other versions give other text, so a comparison of runs names the version.

A document is made of neighbouring pieces (the sections of one topic, the docstrings of one module) joined until it has
about 1,000 characters. Prose lines that were wrapped to a width are joined again, since a line end in the middle of a
sentence would end it for every later stage.
"""

from __future__ import annotations

import ast
import logging
import re
import sysconfig
import textwrap
import unicodedata
import warnings
from collections.abc import Iterable, Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path

from prealign.errors import PrealignError

log = logging.getLogger(__name__)

DOCUMENT_LENGTH = 1000
"""Characters after which a document is full."""
MIN_PIECE_LENGTH = 20
"""Shorter docstrings ("Nop.") say nothing."""
LONG_PARAGRAPH = 60
"""Characters from which a repeated paragraph is dropped (6 % of the text: topics quote each other)."""
MIN_ASCII_SHARE = 0.95
LEFT_OUT = {
    *("test", "tests", "idle_test", "idlelib", "lib2to3", "turtledemo", "encodings", "pydoc_data"),
    *("site-packages", "dist-packages", "lib-dynload", "__pycache__", "__phello__", "_vendor"),
}
"""Folders that hold no documentation for readers, or the same text many times over."""
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
HEADING_RULE = re.compile(r"^[*=\-~^\"]{3,}$", re.MULTILINE)
WORDS = re.compile(r"[A-Za-z]{2,}")
DOUBLE_SPACE = re.compile(r"(?<=[.!?]) {2}(?=[A-Z\"'(])")
"""Two spaces after a sentence, a typewriter's habit in about a fifth of the docstrings."""
WRAPPED_AT_LEAST = 55
"""A paragraph whose longest line is shorter was not wrapped to a width."""
WRAP_SLACK = 8


def python_documents() -> Iterator[str]:
    """Yield the documents in a fixed order: topics by name, then modules by path, each text once.

    Raises:
        PrealignError: this Python came without its source files or without pydoc's topics.
    """
    yield from _all_documents(Path(sysconfig.get_path("stdlib")))


def module_paragraphs(modules: Iterable[str]) -> Iterator[str]:
    """Yield the paragraphs of the docstrings of some modules and packages, each text once; names that this Python's
    standard library does not have are passed over."""
    library = Path(sysconfig.get_path("stdlib"))
    seen: set[str] = set()
    for name in modules:
        file = library / f"{name}.py"
        files = [file] if file.is_file() else _source_files(library / name)
        for path in files:
            for piece in _new(_docstrings(path), seen):
                yield from map(textwrap.dedent, piece.split("\n\n"))


def _source_files(folder: Path) -> list[Path]:
    """The documented source files under a folder, by path."""
    return [path for path in sorted(folder.rglob("*.py")) if LEFT_OUT.isdisjoint(path.relative_to(folder).parts)]


@cache
def _all_documents(library: Path) -> tuple[str, ...]:
    """The documents of a standard library, kept since every stage of a run reads them: 2 MB, but 4 s of parsing."""
    topics = library / "pydoc_data" / "topics.py"
    files = _source_files(library)
    missing = [f"pydoc's topics ({topics})"] if not topics.is_file() else []
    missing += [f"the source files of its standard library (under {library})"] if not files else []
    if missing:
        raise PrealignError(
            "The source `python-docs` reads the documentation inside this Python, but this Python came without "
            f"{' and '.join(missing)}. Use a full Python (python.org, conda, or your system's full package), "
            "or name files of text instead."
        )
    seen: set[str] = set()
    documents: list[str] = []
    for _, topic in sorted(_topics(topics).items()):
        documents += _documents(_new(_sections(topic), seen))
    for file in files:
        documents += _documents(_new(_docstrings(file), seen))
    return tuple(dict.fromkeys(documents))


def _topics(path: Path) -> dict[str, str]:
    """The dictionary literal that topics.py assigns to `topics`."""
    for statement in _parse(path).body:
        if isinstance(statement, ast.Assign | ast.AnnAssign) and isinstance(statement.value, ast.Dict):
            return dict(ast.literal_eval(statement.value))
    raise PrealignError(f"{path} does not assign a dictionary of topics; name text files instead of `python-docs`.")


def _docstrings(path: Path) -> Iterator[str]:
    """The docstrings of a module, its classes and functions, in the order of the file."""
    try:
        tree = _parse(path)
    except (SyntaxError, ValueError) as error:
        log.warning("python-docs: %s is left out: %s", path, error)
        return
    for node in _statements(tree):
        if isinstance(node, DOCUMENTED) and (text := ast.get_docstring(node)):
            yield text


def _statements(node: ast.AST) -> Iterator[ast.AST]:
    """A node and all statements under it, in the order of the file; expressions hold no docstrings."""
    yield node
    for block in ("body", "handlers", "orelse", "finalbody", "cases"):
        children = getattr(node, block, [])
        for child in children if isinstance(children, list) else []:
            yield from _statements(child)


def _parse(path: Path) -> ast.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # old escapes such as "\d" in the library's own strings
        return ast.parse(path.read_bytes())


def _sections(topic: str) -> Iterator[str]:
    """A topic cut before each underlined heading."""
    start = 0
    for rule in HEADING_RULE.finditer(topic):
        border = topic.rfind("\n", 0, max(0, rule.start() - 1)) + 1  # the line above the rule
        yield topic[start:border]
        start = border
    yield topic[start:]


def _new(pieces: Iterable[str], seen: set[str]) -> Iterator[str]:
    """Tidied pieces that are English text and were not met before, without long paragraphs that were."""
    for piece in pieces:
        paragraphs = tidy(piece).split("\n\n")
        text = "\n\n".join(part for part in paragraphs if len(part) < LONG_PARAGRAPH or _is_new(part, seen))
        is_english = len(WORDS.findall(text)) >= 3 and _ascii_share(text) >= MIN_ASCII_SHARE
        if len(text) >= MIN_PIECE_LENGTH and is_english and (len(text) >= LONG_PARAGRAPH or _is_new(text, seen)):
            yield text


def _is_new(text: str, seen: set[str]) -> bool:
    """Whether a text (white space folded) is met for the first time; remembers it."""
    folded = " ".join(text.split())
    if folded in seen:
        return False
    seen.add(folded)
    return True


def _ascii_share(text: str) -> float:
    return len(text.encode("ascii", errors="ignore")) / max(1, len(text))


def _documents(pieces: Iterable[str]) -> Iterator[str]:
    """Join neighbouring pieces to documents; a long piece is cut between paragraphs."""
    parts: list[str] = []
    length = 0
    for piece in pieces:
        for paragraph in piece.split("\n\n") if len(piece) > DOCUMENT_LENGTH else [piece]:
            parts.append(paragraph)
            length += len(paragraph) + 2
            if length >= DOCUMENT_LENGTH:
                yield textwrap.dedent("\n\n".join(parts))
                parts, length = [], 0
    if parts:
        yield textwrap.dedent("\n\n".join(parts))


def tidy(text: str) -> str:
    """NFC, no tabs, no blanks at line ends, one empty line between paragraphs, wrapped prose joined."""
    lines = [line.rstrip() for line in unicodedata.normalize("NFC", text).expandtabs(4).splitlines()]
    blocks = re.split(r"\n{2,}", "\n".join(lines).strip("\n"))
    return "\n\n".join(_unwrap(block) for block in blocks)


def _unwrap(block: str) -> str:
    """Join the lines of a paragraph that was wrapped to a width; code, lists, tables and headings stay as they are.

    It was wrapped if all lines begin in the same column and each but the last is so full that the next word would not
    have fitted (with some slack, since people wrap unevenly).
    """
    lines = block.split("\n")
    width = max(map(len, lines))
    columns = {len(line) - len(line.lstrip()) for line in lines}
    is_wrapped = len(columns) == 1 and width >= WRAPPED_AT_LEAST and ">>>" not in block
    for line, following in pairwise(lines):
        first_word = following.split(maxsplit=1)[0]
        is_wrapped = is_wrapped and len(line) + 1 + len(first_word) > width - WRAP_SLACK
    return DOUBLE_SPACE.sub(" ", " ".join([lines[0], *(line.lstrip() for line in lines[1:])]) if is_wrapped else block)
