"""The English text inside every Python."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from prealign.corpora.python_docs import python_documents, tidy
from prealign.errors import PrealignError

TOPIC = 'The "while" statement\n*********************\n\nIt repeats a block of code.\n'
TOPICS = f'topics = {{"while": {TOPIC!r}}}'
MODULE = '''"""Tools for the garden and its paths."""
raise SystemExit("a module that is imported or executed would stop here")
class Rake:
    """Draws the leaves together in one heap.

    Has many teeth.
    """
    def draw(self):
        "Draw the leaves to the given place."
        if True:
            def inner():
                """Count the leaves that are left over."""
    def again(self):
        "Draw the leaves to the given  place."
    def short(self):
        "Nop."
    def russian(self):
        "Сгребает листья в одну большую кучу."
async def water():
    """Water all the plants in a row."""
'''


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A standard library of three files, of which one is left out."""
    for name, content in {"pydoc_data/topics.py": TOPICS, "garden.py": MODULE, "test/garden.py": MODULE}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content, encoding="utf-8")
    monkeypatch.setattr("sysconfig.get_path", lambda _: str(tmp_path))
    return tmp_path


def test_topics_and_docstrings_in_the_order_of_the_file(library: Path) -> None:
    assert list(python_documents()) == [
        TOPIC.rstrip(),
        "Tools for the garden and its paths.\n\nDraws the leaves together in one heap.\n\nHas many teeth.\n\n"
        "Draw the leaves to the given place.\n\nCount the leaves that are left over.\n\nWater all the plants in a row.",
    ]


def test_a_broken_source_file_is_left_out_and_named(library: Path, caplog: pytest.LogCaptureFixture) -> None:
    (library / "broken.py").write_text("def (:\n", encoding="utf-8")
    assert len(list(python_documents())) == 2
    assert "broken.py is left out" in caplog.text


def test_a_python_without_sources_says_what_is_missing(library: Path) -> None:
    (library / "pydoc_data" / "topics.py").unlink()
    with pytest.raises(PrealignError, match=r"came without pydoc's topics \(.*topics\.py\)\. Use a full Python"):
        list(python_documents())
    (library / "garden.py").unlink()
    with pytest.raises(PrealignError, match=r"topics\.py\) and the source files of its standard library"):
        list(python_documents())


@pytest.mark.parametrize(
    ("raw", "tidied"),
    [
        ("a  \n\n\n\nb\t\n", "a\n\nb"),
        # wrapped at 60: the next word would not have fitted
        (
            "The quick brown fox jumps over the lazy dog and then it goes\nhome.  It sleeps.",
            "The quick brown fox jumps over the lazy dog and then it goes home. It sleeps.",
        ),
        # lines that ended early stay: a list, code
        (
            "name -- the first name of the person who asks for this thing\nage -- in years\nsize -- in metres",
            "name -- the first name of the person who asks for this thing\nage -- in years\nsize -- in metres",
        ),
        (">>> first = 1  # and a long comment that fills this line to\nextraordinary_length", None),
    ],
)
def test_white_space_is_tidied_and_prose_unwrapped(raw: str, tidied: str | None) -> None:
    assert tidy(raw) == (raw if tidied is None else tidied)


def test_this_pythons_own_documents_are_clean_english() -> None:
    documents = list(python_documents())
    assert 1.5e6 < sum(len(document.encode()) for document in documents) < 6e6
    assert len(set(documents)) == len(documents) > 1000
    lengths = sorted(map(len, documents))
    assert 500 < lengths[len(lengths) // 2] < 2000
    text = "\n\n".join(documents)
    assert len(text.encode("ascii", errors="ignore")) / len(text.encode()) > 0.99
    assert not any(line != line.rstrip() for line in text.split("\n"))
    assert "\t" not in text
    assert "idlelib" not in sys.modules
