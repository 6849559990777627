"""``python -m orlop`` is the ``orlop`` command, for where its own program is not on the PATH."""

from __future__ import annotations

import sys

from orlop.cli import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
