"""orlop: a container platform, from kernel calls to a command line with Docker's grammar.

General layout, each part calling only those below it::

    cli          words on a command line, nothing else
    engine       containers as users know them: records, logs, monitors, the launcher
    runtime      an OCI bundle becomes a process; also `orlop-runtime`, with runc's command line
    linux        the kernel, one module per facility

`errors`, `json_text` and `options` are used by all of them. Importing this package costs almost nothing.
"""

from __future__ import annotations

__version__ = "0.1.0"
