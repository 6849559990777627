"""Medians, ratios and the tables that show them."""

from __future__ import annotations

from statistics import median, quantiles
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bench.memory import Footprint
    from bench.targets import Target


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table; the first column is words, the others are numbers."""
    lines = ["| " + " | ".join(head) + " |", "|---|" + "---:|" * (len(head) - 1)]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join(lines)


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.1f}"


def _megabytes(size: float) -> str:
    return f"{size / 1e6:.2f}"


def times_table(times: Mapping[str, Sequence[float]], absent: Mapping[str, str], bases: Sequence[str]) -> str:
    """Times in milliseconds; ``bases`` are the contestants that the others are divided by."""
    bases = [base for base in bases if base in times]
    head = ["start to exit", "median ms", "p10", "p90", *(f"÷ {base}" for base in bases)]
    rows = []
    for name, measured in times.items():
        deciles = quantiles(measured, n=10) if len(measured) > 1 else [measured[0]] * 9
        ratios = [f"{median(measured) / median(times[base]):.2f}" for base in bases]
        rows.append(
            [name, _milliseconds(median(measured)), _milliseconds(deciles[0]), _milliseconds(deciles[-1]), *ratios]
        )
    text = table(head, rows)
    if absent:
        text += "\n\nNot measured: " + "; ".join(f"{name} ({reason})" for name, reason in absent.items()) + "."
    return text


def memory_table(footprints: Mapping[str, Footprint], absent: Mapping[str, str]) -> str:
    """Memory in megabytes (10^6 bytes) for each idle container."""
    rows = []
    for name, footprint in footprints.items():
        for process, share in footprint.each.items():
            label = f"{name}: {process}" + (f" × {share.count}" if share.count > 1 else "")
            each = footprint.containers
            rows.append([label, _megabytes(share.uss / each), _megabytes(share.pss / each)])
        rows.append([f"**{name}, all**", _megabytes(footprint.uss_each), _megabytes(footprint.pss_each)])
    text = table(["processes left running", "USS MB each", "PSS MB each"], rows)
    if absent:
        text += "\n\nNot measured: " + "; ".join(f"{name} ({reason})" for name, reason in absent.items()) + "."
    return text


def targets_table(
    targets: Sequence[Target], times: Mapping[str, Sequence[float]], footprints: Mapping[str, Footprint]
) -> str:
    """Each target, what was measured, and whether that is within it."""
    rows = []
    for target in targets:
        measured = target.measured(times, footprints)
        if measured is None:
            rows.append([target.words, f"{target.most}", "not measured", ""])
        else:
            met = "yes" if measured <= target.most else "no"
            rows.append([target.words, f"{target.most}", f"{measured:.2f}", met])
    return table(["target", "at most", "measured", "met"], rows)
