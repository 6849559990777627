"""``build --check``: what the checks find, without building or fetching anything."""

from __future__ import annotations

from orlop.build import checks, outline
from orlop.build.dockerfile import lint
from orlop.build.graph import Base, Planner, Wishes
from orlop.build.temporary import Temporary
from orlop.engine import image_store
from orlop.engine.building import build
from orlop.engine.building.aside import Aside
from orlop.errors import InvalidDockerfile, NotFound, OrlopError
from orlop.images.config import ImageConfig

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.build.dockerfile.lint import Finding
    from orlop.build.dockerfile.parser import Dockerfile
    from orlop.build.outline import Outline, Target
    from orlop.engine.building.request import BuildRequest
    from orlop.engine.location import Location
    from orlop.images.platform import Platform
    from orlop.images.store import ImageStore


class Checked:
    """What was found in a Dockerfile; ``problem`` is what keeps it from being built, if anything does."""

    __slots__ = ("dockerfile", "findings", "problem")

    def __init__(self, dockerfile: Dockerfile, findings: list[Finding], problem: InvalidDockerfile | None) -> None:
        self.dockerfile = dockerfile
        self.findings = findings
        self.problem = problem


def check(location: Location, request: BuildRequest) -> Checked:
    """Check a Dockerfile.

    Raises:
        InvalidDockerfile: it is wrong.
        OrlopError: it, or its context, cannot be had.
    """
    location.prepare()
    images = image_store.open_store(location)
    images.storage.prepare()
    with images.storage.leases.take() as lease, Aside(location) as aside:
        temporary = Temporary(images.storage, lease)
        opened = build.open_dockerfile(request, images.storage, temporary, aside)
        dockerfile = opened.dockerfile
        found = checks.check(dockerfile, opened.contexts[""].ignored.leaves_out)
        settings = lint.of(dockerfile)
        problem = None
        for stage in dockerfile.stages:
            try:
                undefined = _undefined(dockerfile, stage.number, images, request)
            except InvalidDockerfile as error:
                problem = problem or error
                continue
            found += [each for each in undefined if settings.counts(each.rule)]
        opened.close()
        temporary.clear()
    return Checked(dockerfile, lint.sorted_findings(found), problem)


def call(location: Location, request: BuildRequest, method: str) -> Outline | list[Target]:
    """What a Dockerfile offers: its ``targets``, or the ``outline`` of one; nothing is built or fetched.

    Raises:
        InvalidDockerfile: it is wrong.
        OrlopError: it, or its context, cannot be had.
    """
    location.prepare()
    images = image_store.open_store(location)
    images.storage.prepare()
    with images.storage.leases.take() as lease, Aside(location) as aside:
        temporary = Temporary(images.storage, lease)
        opened = build.open_dockerfile(request, images.storage, temporary, aside)
        opened.close()
        temporary.clear()
        if method == "targets":
            return outline.targets(opened.dockerfile)
        wishes = Wishes(request.target, request.arguments, request.platform, opened.named)
        return outline.outline(opened.dockerfile, Planner(opened.dockerfile, wishes, _Here(images)).plan())


def _undefined(dockerfile: Dockerfile, number: int, images: ImageStore, request: BuildRequest) -> list[Finding]:
    """Variables without a value in a stage; none where an image below is not here, whose environment is not known."""
    known = _Here(images)
    wishes = Wishes(str(number), request.arguments, request.platform, dict.fromkeys(request.contexts, ""))
    try:
        graph = Planner(dockerfile, wishes, known).plan()
    except OrlopError:
        if known.is_complete:
            raise
        return []
    return graph.findings if known.is_complete else []


class _Here:
    """The images that are here; others stand for themselves, empty."""

    __slots__ = ("_images", "is_complete")

    def __init__(self, images: ImageStore) -> None:
        self._images = images
        self.is_complete = True

    def find(self, name: str, wanted: Platform) -> Base:
        """See `orlop.build.graph.Images`."""
        try:
            image = self._images.resolve(name)
            return Base(name, image.config, image.read_manifest())
        except NotFound:
            self.is_complete = False
            return Base(name, ImageConfig(wanted), None)
