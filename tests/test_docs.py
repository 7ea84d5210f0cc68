"""What the pages and recipes name is there: files, headings, settings and commands."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from prealign.cli import RECIPE_COMMANDS
from prealign.config.mistakes import field_names
from prealign.config.settings import Recipe
from prealign.stages.dictionary_flags import COMMANDS

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted(ROOT.glob("docs/*.md")), ROOT / "alignment_dicts" / "README.md"]
OTHERS = [
    *ROOT.glob("recipes/**/*.yaml"),
    *ROOT.glob("prealign/**/*.py"),
    *ROOT.glob("bench/*.py"),
    ROOT / "CHANGELOG.md",
]
LINK = re.compile(r"\]\((?!https?:|mailto:)([^)\s]*)\)")
FILE = re.compile(r"\b(?:docs|recipes|bench|tests|alignment_dicts)/[\w./-]*\w(?:\.(?:md|py|yaml)|/(?=`))")
SETTING = re.compile(r"`([a-z_]+(?:\.[a-z_]+)+)(?<!\.json)(?<!\.html)(?:: [^`]*)?`")
COMMAND = re.compile(r"\bprealign (?!import\b)([a-z][a-z-]+)(?: ([a-z]+))?")
of_pages = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def anchors(page: str) -> set[str]:
    """The headings of a page as GitHub names them in links."""
    prose = re.sub(r"^( *)```.*?^\1```", "", page, flags=re.DOTALL | re.MULTILINE)
    headings = re.findall(r"^#+ (.*?)\s*$", prose, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def dead_links(page: Path) -> list[str]:
    """The relative links of a page that lead nowhere."""
    dead = []
    for link in LINK.findall(text_of(page)):
        name, _, anchor = link.partition("#")
        place = page.parent / name if name else page
        if not place.exists() or (anchor and anchor not in anchors(text_of(place))):
            dead.append(link)
    return dead


def test_a_dead_link_is_found(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("# A page\n\n## Two, *well*\n```sh\n# no heading\n```\n")
    links = ["a.md", "a.md#two-well", "#here", "https://example.org/x", "b.md", "a.md#no-heading", "#there"]
    (tmp_path / "page.md").write_text("# Here\n" + " ".join(f"[x]({link})" for link in links))
    assert dead_links(tmp_path / "page.md") == ["b.md", "a.md#no-heading", "#there"]


@of_pages
def test_relative_links_lead_somewhere(page: Path) -> None:
    assert dead_links(page) == []


@pytest.mark.parametrize("file", [*PAGES, *OTHERS], ids=lambda file: str(file.relative_to(ROOT)))
def test_files_that_are_named_exist(file: Path) -> None:
    assert [name for name in FILE.findall(text_of(file)) if not (ROOT / name).exists()] == []


@of_pages
def test_settings_that_are_named_exist(page: Path) -> None:
    sections = field_names(Recipe, ())
    named = [name for name in SETTING.findall(text_of(page)) if name.split(".")[0] in sections]
    named = [name for name in named if name.split(".")[0] != "languages"]  # by code: languages.en.share
    assert [n for n in named if n.split(".")[-1] not in field_names(Recipe, tuple(n.split(".")[:-1]))] == []


@of_pages
def test_commands_that_are_named_exist(page: Path) -> None:
    code = " ".join(re.findall(r"```.*?```|^ {4,}[^\n]*$|`[^`\n]+`", text_of(page), flags=re.DOTALL | re.MULTILINE))
    commands = {*RECIPE_COMMANDS, "doctor", "dictionary"}
    named = COMMAND.findall(code)
    assert {command for command, _ in named} - commands == set()
    assert {tool for command, tool in named if command == "dictionary"} - {*COMMANDS, ""} == set()
