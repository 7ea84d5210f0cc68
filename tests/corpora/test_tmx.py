"""Translation memories: languages, inline markup, encodings, and files that are faulty or huge."""

from __future__ import annotations

import gzip
import tracemalloc
from pathlib import Path

import pytest

from prealign.corpora.records import Record
from prealign.corpora.tmx import tmx_records
from prealign.errors import PrealignError

HEAD = """<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE tmx SYSTEM "tmx14.dtd">
<tmx version="1.4"><header creationtool="x" srclang="en"><note>A note</note></header><body>
"""
TAIL = "</body></tmx>"


def unit(**variants: str) -> str:
    inner = "".join(
        f'<tuv xml:lang="{language.replace("_", "-")}"><seg>{text}</seg></tuv>' for language, text in variants.items()
    )
    return f"<tu><prop type='x'>p</prop>{inner}</tu>\n"


def read(path: Path, content: str | bytes, source: str = "en", target: str = "de") -> list[Record]:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return list(tmx_records(path, source, target))


def test_sides_are_found_among_several_languages(tmp_path: Path) -> None:
    content = HEAD + unit(fr="Un chat.", de_AT="Eine Katze.", en_US="A cat.") + unit(de="Nein.", en="No.") + TAIL
    assert read(tmp_path / "a.tmx", content) == [Record(1, "A cat.", "Eine Katze."), Record(2, "No.", "Nein.")]
    assert read(tmp_path / "a.tmx", content, "fr", "en")[0] == Record(1, "Un chat.", "A cat.")
    assert [record.fault for record in read(tmp_path / "a.tmx", content, "fr", "en")] == [
        "",
        "records without both languages",
    ]


@pytest.mark.parametrize(
    ("segment", "text"),
    [
        ("plain &amp; simple &lt;b&gt;", "plain & simple <b>"),
        ('a <bpt i="1">&lt;b&gt;</bpt>bold<ept i="1">&lt;/b&gt;</ept> word', "a bold word"),
        ('half<ph x="1">&lt;br/&gt;</ph>word<it pos="begin">{</it>', "halfword"),
        ('<hi type="x">kept <hi>twice</hi></hi>, and <ut>\\par</ut>on', "kept twice, and on"),
        ("a <ph>image <sub>its caption</sub></ph>b", "a b"),
        ("\n   wrapped\n   by an editor\n ", " wrapped by an editor "),
        ("no\u00a0break, \u3000wide", "no\u00a0break, \u3000wide"),
        ("<!-- remark -->text", "text"),
        ("", ""),
    ],
)
def test_inline_markup_goes_and_text_stays(tmp_path: Path, segment: str, text: str) -> None:
    (record,) = read(tmp_path / "a.tmx", HEAD + unit(en=segment, de="x") + TAIL)
    assert record.source == text


def test_older_versions_namespaces_and_other_encodings(tmp_path: Path) -> None:
    old = '<tmx version="1.1"><header/><body><tu><tuv lang="EN"><seg>Yes.</seg></tuv>'
    old += '<tuv lang="DE_DE"><seg>Jä.</seg></tuv></tu></body></tmx>'
    named = old.replace("<tmx ", '<tmx xmlns="http://www.lisa.org/tmx14" ')
    expected = [Record(1, "Yes.", "Jä.")]
    assert read(tmp_path / "a.tmx", old) == expected
    assert read(tmp_path / "a.tmx", named) == expected
    assert read(tmp_path / "a.tmx", ('<?xml version="1.0" encoding="UTF-16"?>' + old).encode("utf-16")) == expected
    assert read(tmp_path / "a.tmx", ('<?xml version="1.0" encoding="latin-1"?>' + old).encode("latin-1")) == expected
    assert read(tmp_path / "a.tmx.gz", gzip.compress(old.encode())) == expected


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (HEAD + unit(en="a", de="b") + "<tu><tuv>", r"a\.tmx is not well-formed XML after unit 1 \(no element found"),
        (HEAD.encode() + unit(en="a", de="b").encode() + b"<tu>\xff", "is not well-formed XML after unit 1"),
        ("A cat.\tEine Katze.\n", "is not well-formed XML after unit 0"),
        ("", "is not well-formed XML after unit 0"),
        ('<?xml version="1.0" encoding="klingon"?><tmx/>', "is not well-formed XML after unit 0"),
        (HEAD + "<tu>&undefined;</tu>", "is not well-formed XML"),
        ("<html><body/></html>", "is XML but no TMX: its outermost element is <html>"),
        (HEAD + unit(en="a", fr="b") + TAIL, "has no unit with both en and de; its languages: en, fr"),
        (HEAD + "<tu/>" + TAIL, "has no unit with both en and de; its languages: none"),
    ],
)
def test_faulty_files_are_refused(tmp_path: Path, content: str | bytes, sentence: str) -> None:
    with pytest.raises(PrealignError, match=sentence):
        read(tmp_path / "a.tmx", content)


def test_a_file_without_units_has_no_pairs(tmp_path: Path) -> None:
    assert read(tmp_path / "a.tmx", HEAD + TAIL) == []


def test_entities_from_elsewhere_are_not_fetched(tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("secret")
    entity = f'<!DOCTYPE tmx [<!ENTITY e SYSTEM "{tmp_path / "secret.txt"}">]>'
    with pytest.raises(PrealignError, match="is not well-formed XML"):
        read(tmp_path / "a.tmx", f"{entity}<tmx><body>{unit(en='&e;', de='x')}</body></tmx>")


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    def peak(units: int) -> int:
        path = tmp_path / f"{units}.tmx"
        path.write_text(HEAD + unit(en="A cat sat here.", de="Hier saß eine Katze.") * units + TAIL, encoding="utf-8")
        tracemalloc.start()
        assert sum(1 for _ in tmx_records(path, "en", "de")) == units
        used = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return used

    assert peak(4000) < 1.2 * peak(1000)
