"""Naming what is being done, so that a kernel's bare errno comes back as a sentence."""

from __future__ import annotations

from orlop.errors import StepFailed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType


class step:  # noqa: N801 - it reads as a verb where it is used
    """``with step("mount", "/proc"): …`` turns an OSError into a StepFailed that says so."""

    __slots__ = ("_path", "_what")

    def __init__(self, what: str, path: str = "") -> None:
        self._what = what
        self._path = path

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, OSError):
            reason = error.strerror or str(error)
            if isinstance(error.filename, str) and not self._path.endswith(error.filename):
                reason = f"{error.filename}: {reason}"
            raise StepFailed(self._what, self._path, reason, error.errno or 0) from None
