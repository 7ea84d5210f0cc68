"""Paragraphs of Python's documentation by topic: a classification task for text that every machine has.

The source `python-docs-topics` of `eval.transfer`. A topic is a group of standard modules, a text is one paragraph of
their docstrings, as many of each topic. Which paragraphs there are depends on the version of Python. They are also part
of the source `python-docs`, so a model trained on that has read most of them, in English and without their labels.
"""

from __future__ import annotations

from functools import cache

from prealign import draws
from prealign.corpora.labelled import Example
from prealign.corpora.python_docs import module_paragraphs
from prealign.errors import PrealignError

TOPICS = {
    "files": "os posixpath ntpath pathlib shutil tempfile glob fnmatch filecmp fileinput stat "
    "zipfile tarfile gzip bz2 lzma io _pyio",
    "graphics": "tkinter turtle",
    "network": "http urllib smtplib ftplib imaplib poplib socket socketserver ssl xmlrpc wsgiref ipaddress webbrowser",
    "numbers": "decimal _pydecimal fractions statistics random numbers datetime _pydatetime calendar heapq bisect",
    "tasks": "asyncio threading multiprocessing concurrent subprocess queue sched selectors signal contextvars",
}
"""Topic -> its modules; those that moved between versions stand here under all their names."""
PER_TOPIC = 600
"""Paragraphs of each topic, drawn by number; Python 3.11 has 638 of numbers and 1,184 of network."""
MIN_WORDS = 6
MAX_LENGTH = 400
"""Characters of the longest paragraph: about 100 tokens."""


@cache
def topic_examples() -> tuple[Example, ...]:
    """Paragraphs of prose, one topic after the other; rows are named by topic and number. Parsing takes 2 s."""
    examples: list[Example] = []
    for topic, modules in TOPICS.items():
        texts = [" ".join(text.split()) for text in module_paragraphs(modules.split())]
        found = [Example(f"{topic} {i}", (text,), topic) for i, text in enumerate(filter(_is_prose, texts), start=1)]
        examples += sorted(found, key=lambda example: draws.uniform("python topics", example.row))[:PER_TOPIC]
    if len({example.label for example in examples}) < len(TOPICS):
        raise PrealignError(
            "The source `python-docs-topics` reads the docstrings of Python's standard library, but this Python came "
            "without its source files. Use a full Python (python.org, conda, or your system's full package)."
        )
    return tuple(examples)


def _is_prose(text: str) -> bool:
    """Enough words, and neither a session of the interpreter nor a table."""
    words = sum(word.strip(".,:;()'\"`").isalpha() for word in text.split())
    return words >= MIN_WORDS and 3 * words >= 2 * len(text.split()) and len(text) <= MAX_LENGTH and ">>>" not in text
