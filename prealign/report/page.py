"""`report.html`, `report.md` and figures: one run, or several side by side, told from their numbers.

The page is one file without scripts and without anything from the network; the pictures are inline SVG. The same
content goes to Markdown for a paper's appendix, and, where matplotlib is installed, the charts to PNG files beside it.
"""

from __future__ import annotations

import datetime
import logging
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from prealign import files
from prealign.errors import PrealignError
from prealign.evaluation.comparison_table import comparison_table, difference_table
from prealign.evaluation.statistics import comparisons
from prealign.report import png, tables
from prealign.report.added import steps, steps_table
from prealign.report.answer import answer, question
from prealign.report.figures import chart_html, legend_html
from prealign.report.heatmap import heat_html, percent, scale_html
from prealign.report.runs import Run, kept_items, side_by_side
from prealign.report.sections import sections

log = logging.getLogger(__name__)


def write_report(run: Run, page: Path, figures: Path) -> None:
    """Write the page of one run, the same as Markdown beside it, and, with matplotlib, its charts as PNG files.

    Args:
        page: the HTML file.
        figures: folder of the PNG files, made anew.
    """
    found = steps(run.results, partial(kept_items, run))
    _write(
        _content(run, [run])
        | {
            "title": (run.recipe.get("report") or {}).get("title") or run.name,
            "question": question(run.results["arms"]) if run.recipe else "How do these models do on the same tests?",
            "answer": answer(run.results, found),
            "steps": steps_table(found),
            "differing": None,
        },
        page,
        figures,
    )


def write_comparison(runs: Sequence[Run], page: Path, figures: Path) -> None:
    """Write a page that puts several runs side by side; all arms are compared with the baseline of the first run."""
    both = side_by_side(runs)
    recipes = {run.name: {key: value for key, value in run.recipe.items() if key != "output"} for run in runs}
    _write(
        _content(both, runs)
        | {
            "title": f"Comparison of {both.name}",
            "question": "The same measures of several runs, and in which settings the runs differ.",
            "answer": _how_they_compare(both, runs),
            "steps": None,
            "differing": tables.differing_settings(recipes),
        },
        page,
        figures,
    )


def _how_they_compare(both: Run, runs: Sequence[Run]) -> list[str]:
    """Against what, what does not compare, and whether the data are the same."""
    baseline = both.results["baseline"]
    rows = [row for row in comparisons(both.results) if row.headline and row.arm != baseline]
    headlines = [row for row in rows if row.difference is not None]
    real = [row for row in headlines if row.is_real]
    n_tested = sum(row.adjusted_p is not None for row in headlines)
    sentences = [
        f"Every arm of the {len(runs)} runs is compared with {baseline}: {len(headlines)} differences in headline "
        f"measures; {n_tested} could be tested, and {len(real)} are beyond chance after Holm's correction over the "
        "measures of each arm by itself."
    ]
    stores = {run.name: run.results.get("store") for run in runs}
    if len(set(stores.values())) > 1:
        told = ", ".join(f"{name} {store}" for name, store in stores.items())
        sentences.append(f"The runs were trained on different token stores ({told}).")
    apart = dict.fromkeys(f"{row.name}, {row.of}" for row in rows if row.mean is not None and row.difference is None)
    if apart:
        sentences.append(
            "These headline measures do not compare in every run, because data, size, layers or version differ or the "
            f"baseline lacks them: {'; '.join(apart)}. Their values are shown, without a difference."
        )
    return sentences


def _content(run: Run, runs: Sequence[Run]) -> dict[str, Any]:
    """What pages of one and of several runs share."""
    arms = run.results["arms"]
    asked = dict(zip(arms, [_asked(one.recipe) for one in runs for _ in one.results["arms"]]))
    return {
        "date": datetime.date.today().isoformat(),
        "results": comparison_table(run.results) if arms else None,
        "differences": difference_table(run.results) if arms else None,
        "sections": sections(run),
        "switching": tables.switching_table(run.metrics, asked),
        "dictionaries": [tables.dictionary_card(card) for card in run.dictionaries],
        "costs": tables.costs_table(arms, run.metrics),
        "reruns": [_rerun(one) for one in runs],
        "png": png.available(),
    }


def _asked(recipe: Mapping[str, Any]) -> float | None:
    """The share of words that a recipe wants switched, into all languages together."""
    switching = recipe.get("pretrain", {}).get("switching", {})
    by_language: Mapping[str, float] = switching.get("language_ratios") or {}
    asked: float | None = sum(by_language.values()) if by_language else switching.get("ratio")
    return asked


def _rerun(run: Run) -> dict[str, Any]:
    """Everything needed to run it again."""
    facts = {"seeds": run.results.get("seeds"), "token store": run.results.get("store")}
    versions = [(name, str(version)) for name, version in run.results.get("versions", {}).items()]
    return {
        "name": run.name,
        "command": run.command,
        "facts": tables.flat(facts) + versions,
        "recipe": yaml.safe_dump(dict(run.recipe), sort_keys=False, allow_unicode=True, width=100),
    }


def _write(content: dict[str, Any], page: Path, figures: Path) -> None:
    if content["png"]:
        _require_own(figures)
        with files.whole(figures) as temporary:
            temporary.mkdir()
            for section in content["sections"]:
                for number, chart in enumerate(section.charts, start=1):
                    png.write_png(chart, temporary / f"{section.name}-{number}.png")
                for number, heat in enumerate(section.maps, start=1):
                    png.write_heat_png(heat, temporary / f"{section.name}-{number}.png")
    else:
        log.info("no PNG figures: matplotlib is not installed (pip install 'prealign[report]')")
    content["figures"] = figures.name
    files.write_text(page.with_suffix(".md"), render("page.md.j2", content))
    files.write_text(page, render("page.html.j2", content))
    log.info("report: %s", page)


def _require_own(figures: Path) -> None:
    """Refuse to replace a folder that holds anything but pictures."""
    others = [path.name for path in figures.glob("[!.]*") if path.suffix != ".png"]
    if others:
        raise PrealignError(
            f"{figures} is to be replaced by the pictures of the page, but holds other files "
            f"({', '.join(others[:3])}). Move them, or give the page another name with --output."
        )


def render(template: str, content: Mapping[str, Any]) -> str:
    """Fill a template; in HTML every text is escaped."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("prealign.report", "templates"),
        autoescape=".html" in template,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    drawing = {"chart_html": chart_html, "legend_html": legend_html, "heat_html": heat_html, "scale_html": scale_html}
    drawing |= {"percent": percent}
    text: str = environment.get_template(template).render(content, **drawing)
    return text
