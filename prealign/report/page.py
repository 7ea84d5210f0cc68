"""`report.html`, `report.md` and figures: one run, told from its numbers.

The page is one file without scripts and without anything from the network; the pictures are inline SVG. The same
content goes to Markdown for a paper's appendix, and, where matplotlib is installed, the charts to PNG files beside it.
"""

from __future__ import annotations

import datetime
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from prealign import files
from prealign.evaluation.table import comparison_table
from prealign.report import curves, png, tables
from prealign.report.answer import QUESTION, answer
from prealign.report.figures import chart_html, legend_html
from prealign.report.heatmap import heat_html, percent, scale_html

log = logging.getLogger(__name__)


def write_report(
    folder: Path,
    *,
    title: str,
    recipe: Mapping[str, Any],
    results: Mapping[str, Any],
    metrics: Mapping[str, tables.Rows],
    dictionaries: Sequence[Mapping[str, Any]] = (),
    command: str = "",
) -> None:
    """Write report.html, report.md and, with matplotlib, figures/*.png into `folder`.

    Whatever a run did not measure is left out of the page.

    Args:
        title: heading of the page.
        recipe: the resolved recipe, as plain values.
        results: results.json (see `evaluation.harness`).
        metrics: per arm the rows of metrics.jsonl, those of stage 1 first.
        dictionaries: per language pair its card, with a "quality" beside the card's own keys.
        command: the line that repeats the run.
    """
    arms: tables.Arms = results.get("arms") or {}
    groups = figure_groups(metrics, arms)
    content = {
        "title": title,
        "question": QUESTION,
        "answer": answer(arms, len(results.get("seeds") or [recipe.get("seed")])),
        "table": comparison_table(arms),
        "arms": [curves.arm_name(arm) for arm in arms],
        "measures": tables.measures(arms),
        "groups": groups,
        "switching": tables.switching_table(metrics, recipe),
        "costs": tables.costs_table(arms, metrics),
        "dictionaries": [tables.dictionary_card(card) for card in dictionaries],
        "recipe": yaml.safe_dump(dict(recipe), sort_keys=False, allow_unicode=True, width=100),
        "command": command,
        "versions": tables.versions(),
        "date": datetime.date.today().isoformat(),
        "png": png.available(),
    }
    if content["png"]:
        with files.whole(folder / "figures") as temporary:
            temporary.mkdir()
            for group in groups:
                for number, chart in enumerate(group["charts"], start=1):
                    png.write_png(chart, temporary / f"{group['name']}-{number}.png")
                for number, heat in enumerate(group["maps"], start=1):
                    png.write_heat_png(heat, temporary / f"{group['name']}-{number}.png")
    else:
        log.info("no PNG figures: matplotlib is not installed (pip install 'prealign[report]')")
    files.write_text(folder / "report.md", render("page.md.j2", content))
    files.write_text(folder / "report.html", render("page.html.j2", content))
    log.info("report: %s", folder / "report.html")


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


def figure_groups(metrics: Mapping[str, tables.Rows], arms: tables.Arms) -> list[dict[str, Any]]:
    """Charts or heat maps that belong together, with heading, explanation and their common legend.

    Charts and groups without data are left out.
    """
    candidates = [
        (
            "bits",
            "Bits per byte over training",
            "A fixed sample of the validation documents; lower is better. The vertical axes do not start at zero.",
            curves.bits_charts(metrics),
        ),
        (
            "retrieval-course",
            "Retrieval of held-out words over training",
            "P@1, mean over layers and both directions: does alignment last while language modelling goes on?",
            curves.retrieval_course_charts(metrics, arms),
        ),
        (
            "retrieval-layers",
            "Retrieval of held-out words by layer",
            "P@1, mean of both directions. Layer “in” is the input embeddings, “out” the output rows.",
            curves.layer_charts(metrics, arms, "held_out"),
        ),
        (
            "cosine",
            "Are words still different?",
            "Mean cosine between all held-out words of a pair, translations or not: near 1 all words have become one.",
            curves.cosine_charts(metrics),
        ),
        (
            "sentences",
            "Sentences: MEXA by layer",
            "Share of sentence pairs that are each other's nearest, mean pooling. Layer “in” is the input embeddings.",
            curves.sentence_charts(arms),
        ),
    ]
    groups = []
    for name, heading, text, charts in candidates:
        drawn = [chart for chart in charts if not chart.is_empty()]
        if drawn:
            lines = [series for chart in drawn for series in chart.series if series.points]
            group = {"name": name, "heading": heading, "text": text, "charts": drawn, "series": lines, "maps": []}
            groups.append(group)
    if maps := curves.heat_maps(metrics):
        heat = {
            "name": "retrieval-heat",
            "heading": "Retrieval of held-out words by layer and time",
            "text": "P@1, mean of both directions. A column is a measurement, a row a layer, from the input embeddings "
            "at the bottom to the output rows at the top.",
            "charts": [],
            "series": [],
            "maps": maps,
        }
        after = next(
            (place for place, group in enumerate(groups, 1) if group["name"] == "retrieval-layers"), len(groups)
        )
        groups.insert(after, heat)
    return groups
