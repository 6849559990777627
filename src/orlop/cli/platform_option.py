"""``--platform`` of commands about images that are here: an image is here for one platform, which has to be the one meant."""

from __future__ import annotations

from orlop.options import Option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from orlop.images.store import ImageStore
    from orlop.options import Parsed

OPTION = Option("--platform", "Refuse an image that is not for this platform (os[/arch[/variant]])", value="string")


def check(said: Parsed, images: ImageStore, names: Iterable[str]) -> None:
    """Refuse what is for another platform than the one that is asked for.

    Raises:
        InvalidArgument: that can be none.
        NotFound: an image is for another one, or not here at all.
    """
    wanted = said["platform"]
    if not wanted:
        return
    from orlop.engine import image_settings
    from orlop.errors import NotFound

    for name in names:
        config = images.find(name).config
        if not image_settings.is_for(config, wanted):
            raise NotFound(
                f"image with reference {name} was found but does not provide the specified platform ({wanted}): "
                f"it is for {config.platform}"
            )
