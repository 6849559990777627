"""``orlop save``."""

from __future__ import annotations

import os
import sys

from orlop.cli import platform_option
from orlop.options import Option, Parser, one_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.engine.location import Location
    from orlop.options import Parsed

PARSER = Parser(
    "orlop save",
    "IMAGE [IMAGE...]",
    "Save one or more images to a tar archive (streamed to STDOUT by default)",
    (
        Option(
            "--format",
            "docker-archive (an OCI layout with Docker's manifest.json), oci-archive, or oci-dir for a directory",
            value="string",
            default="docker-archive",
            read=one_of("docker-archive", "oci-archive", "oci-dir"),
        ),
        platform_option.OPTION,
        Option("-o, --output", "Write to a file, or with oci-dir to a directory, instead of STDOUT", value="string"),
    ),
    at_least=1,
)


def run(location: Location, said: Parsed) -> int:
    """Carry the command out."""
    from orlop.engine import image_store, image_transfer
    from orlop.errors import InvalidArgument
    from orlop.images.archive import save

    platform_option.check(said, image_store.open_store(location), said.arguments)
    output = said["output"]
    if said["format"] == save.OCI_DIRECTORY:
        if not output:
            raise InvalidArgument("--format oci-dir needs --output with the directory to make")
        image_transfer.save(location, said.arguments, output, form=save.OCI_DIRECTORY)
    elif output:
        from orlop.engine import output_file

        with output_file.written(output) as descriptor:
            _write(location, said, descriptor)
    else:
        if os.isatty(1):
            raise InvalidArgument("cowardly refusing to save to a terminal: use the -o flag or redirect")
        sys.stdout.flush()
        _write(location, said, 1)
    return 0


def _write(location: Location, said: Parsed, descriptor: int) -> None:
    from orlop.engine import image_transfer
    from orlop.storage.layers import tar_writer

    image_transfer.save(location, said.arguments, tar_writer.Descriptor(descriptor), form=said["format"])
