"""Asking before something is taken away that cannot be had back."""

from __future__ import annotations

import sys


def confirmed(warning: str) -> bool:
    """Show what is going to happen and ask for a yes; without an answer it is no."""
    sys.stdout.write(f"WARNING! {warning}\nAre you sure you want to continue? [y/N] ")
    sys.stdout.flush()
    answer = sys.stdin.readline().strip().lower()
    return answer in ("y", "yes")
