"""Draw what was measured: python plot.py RESULTS.json OUT.svg. Runs in .venvs/bench-tools, which has matplotlib."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import NamedTuple

import matplotlib as mpl  # type: ignore[import-not-found]  # lives in an environment of its own

mpl.use("svg")
mpl.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "gateway", "font.family": "sans-serif", "font.size": 9})

from matplotlib import pyplot  # noqa: E402  # after the choice of the backend

OURS, OTHERS = "#1f6feb", "#9aa4af"


class Panel(NamedTuple):
    """One bar for each subject that has the figure; ``scale`` makes the unit of the title from SI units."""

    title: str
    figure: str
    scale: float
    digits: int = 0


PANELS = [
    Panel("CPU of a whole answer, µs", "whole", 1e6),
    Panel("CPU of a stream of 50 events, µs", "stream", 1e6),
    Panel("added latency, 1 connection, p50, µs", "latency p50 1", 1e6),
    Panel("added latency, 64 connections, p99, µs", "latency p99 64", 1e6),
    Panel("memory of an idle worker, MB", "memory idle", 1e-6),
    Panel("from start to first answer, s", "ready", 1.0, 2),
]


def main() -> None:
    """Draw the panels that have something to show."""
    results = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    figures = {name: subject["figures"] for name, subject in results["subjects"].items()}
    panels = [panel for panel in PANELS if any(panel.figure in values for values in figures.values())]
    rows = (len(panels) + 1) // 2
    picture, axes = pyplot.subplots(rows, 2, figsize=(9.5, 2.3 * rows), squeeze=False)
    for panel, axis in zip(panels, axes.flat, strict=False):
        shown = {name: values[panel.figure] * panel.scale for name, values in figures.items() if panel.figure in values}
        colours = [OURS if name.startswith("gateway") else OTHERS for name in shown]
        bars = axis.barh(list(shown), list(shown.values()), color=colours)
        axis.bar_label(bars, [f"{value:,.{panel.digits}f}" for value in shown.values()], padding=3)
        axis.set_xscale("log")
        axis.margins(x=0.18)
        axis.invert_yaxis()
        axis.set_title(panel.title, loc="left", fontsize=9, fontweight="bold")
        axis.xaxis.set_visible(False)
        axis.spines[["top", "right", "bottom"]].set_visible(False)
        axis.tick_params(left=False)
    for axis in list(axes.flat)[len(panels) :]:
        axis.set_visible(False)
    picture.supxlabel("logarithmic bars", x=0.99, ha="right", fontsize=8, color=OTHERS)
    picture.tight_layout()
    picture.savefig(sys.argv[2], metadata={"Date": None, "Creator": None})


if __name__ == "__main__":
    main()
