"""Reading TMX (Translation Memory eXchange 1.1 to 1.4b), the XML format of translation memories, as a stream.

One of the formats of `pair_formats`. A unit (`tu`) holds variants (`tuv`) in two languages or more; every unit is
forgotten once it is read, so memory does not grow with the file. XML cannot be read past a fault: a file that is not
well-formed is refused there.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from xml.etree.ElementTree import Element, ParseError, iterparse

from prealign.corpora.documents import BROKEN, open_bytes
from prealign.corpora.records import NOT_BOTH_LANGUAGES, Record, matching
from prealign.errors import PrealignError

XML_LANG = "{http://www.w3.org/XML/1998/namespace}lang"
XML_SPACE = re.compile(r"[ \t\r\n]+")
KEPT_INLINE = {"hi", "seg"}
"""Elements whose content is text. That of bpt, ept, it, ph and ut is the markup of the original document."""


def tmx_records(path: Path, source_language: str, target_language: str) -> Iterator[Record]:
    """One record per unit, from the variants that match the two languages best.

    Raises:
        PrealignError: missing, damaged, not well-formed, no TMX, or no unit has both languages.
    """
    languages: Counter[str] = Counter()
    number = paired = 0
    holder: Element | None = None  # the parent of the units: <body>, or the root before it
    with open_bytes(path) as file:
        try:
            for event, element in iterparse(file, ("start", "end")):
                name = _local_name(element)
                if event == "start":
                    if holder is None and name != "tmx":
                        raise PrealignError(f"{path} is XML but no TMX: its outermost element is <{name}>.")
                    if holder is None or name == "body":
                        holder = element
                elif name == "tu" and holder is not None:
                    number += 1
                    variants = _variants(element)
                    languages.update(variants.keys())
                    source, target = matching(source_language, variants), matching(target_language, variants)
                    if source is None or target is None or source == target:
                        yield Record(number, ", ".join(variants), "", NOT_BOTH_LANGUAGES)
                    else:
                        paired += 1
                        yield Record(number, variants[source], variants[target])
                    holder.clear()
        except (ParseError, ValueError, LookupError, RecursionError) as error:
            raise PrealignError(
                f"{path} is not well-formed XML after unit {number:,} ({error}). Mend it, for example with: "
                "xmllint --recover"
            ) from None
        except BROKEN as error:
            raise PrealignError(
                f"{path} breaks off or is damaged after unit {number:,} ({error}). Fetch it again."
            ) from None
    if number and not paired:
        found = ", ".join(language for language, _ in languages.most_common(20))
        raise PrealignError(
            f"{path} has no unit with both {source_language} and {target_language}; its languages: {found or 'none'}."
        )


def _variants(unit: Element) -> dict[str, str]:
    """Language tag -> text of its first variant in the unit."""
    variants: dict[str, str] = {}
    for variant in unit:
        language = variant.get(XML_LANG) or variant.get("lang")
        segment = next((child for child in variant if _local_name(child) == "seg"), None)
        if _local_name(variant) == "tuv" and language and segment is not None:
            variants.setdefault(language, XML_SPACE.sub(" ", _text(segment)))
    return variants


def _text(element: Element) -> str:
    """The text of a segment without its inline markup."""
    inner = element.text or "" if _local_name(element) in KEPT_INLINE else ""
    if _local_name(element) in KEPT_INLINE:
        inner += "".join(_text(child) + (child.tail or "") for child in element)
    return inner


def _local_name(element: Element) -> str:
    return element.tag.rpartition("}")[2]
