"""An image's configuration under the user's settings, as Docker puts the one over the other.

What the user says counts; the entrypoint and the command belong together: who says another entrypoint gets no command of
the image's. What comes from the image is hostile, so it is checked here where nothing later does.
"""

from __future__ import annotations

import posixpath

from orlop.errors import InvalidArgument, Unsupported

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.engine.settings import Settings
    from orlop.images.config import Execution, ImageConfig
    from orlop.images.platform import Platform


def merge(settings: Settings, image: Execution) -> None:
    """Fill in what the user left to the image.

    Raises:
        InvalidArgument: the image asks for what cannot be.
    """
    if not settings.entrypoint:
        settings.command = settings.command or list(image.cmd)
        settings.entrypoint = list(image.entrypoint)
    settings.env += _missing(settings.env, image.env)
    settings.user = settings.user or image.user
    if not settings.workdir and image.working_dir:
        # Old tools wrote relative ones; they mean the root directory's.
        settings.workdir = posixpath.normpath(posixpath.join("/", image.working_dir))
    settings.labels = {**image.labels, **settings.labels}
    settings.volumes += [each for each in image.volumes if each not in settings.volumes]
    settings.exposed_ports += [each for each in image.exposed_ports if each not in settings.exposed_ports]
    if not settings.stop_signal and image.stop_signal:
        from orlop.runtime.kill import signal_number

        signal_number(image.stop_signal)
        settings.stop_signal = image.stop_signal
    if settings.stop_timeout is None:
        settings.stop_timeout = image.stop_timeout
    if image.healthcheck is not None:
        settings.healthcheck = {**image.healthcheck.as_json(), **(settings.healthcheck or {})}
    settings.shell = settings.shell or list(image.shell)
    for text in (settings.user, settings.workdir, *settings.env, *settings.entrypoint, *settings.command):
        if "\0" in text:
            raise InvalidArgument(f"the image {settings.image} cannot be run: its configuration has a NUL in {text!r}")


def _missing(ours: list[str], images: list[str]) -> list[str]:
    """The image's variables that the user says nothing of; what is no variable at all means nothing."""
    known = {text.partition("=")[0] for text in ours}
    return [text for text in images if text.find("=") > 0 and text.partition("=")[0] not in known]


def check_platform(settings: Settings, config: ImageConfig) -> list[str]:
    """Whether the machine runs what is in the image; returns warnings.

    Raises:
        Unsupported: it is for another operating system.
    """
    from orlop.images import platform

    built_for = config.platform
    here = platform.host()
    if built_for.os != here.os:
        raise Unsupported(
            f"the image {settings.image} is for {built_for}, and only those for {here.os} can be run here"
        )
    if settings.platform or _runs(built_for, here):
        return []
    warning = f"the requested image's platform ({built_for}) does not match the detected host platform ({here})"
    return [f"{warning} and no specific platform was requested"]


def is_for(config: ImageConfig, wanted: str) -> bool:
    """Whether an image is for the platform that a user asked for by name.

    Raises:
        InvalidArgument: it cannot be one.
    """
    from orlop.images import platform

    meant = platform.parse(wanted)
    there = config.platform
    return (there.os, there.architecture) == (meant.os, meant.architecture) and meant.variant in ("", there.variant)


def _runs(built_for: Platform, here: Platform) -> bool:
    if built_for.architecture == here.architecture:
        return True  # of a variant the machine may have more than its name tells
    from orlop.images import platform

    return platform.matches(built_for, here)
