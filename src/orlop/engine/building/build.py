"""A whole build: the context is found, the Dockerfile read, its steps done, and what came of it published."""

from __future__ import annotations

import os
import time
from contextlib import ExitStack

from orlop.build import checks, context_sources, result, steps
from orlop.build.context import Context, patterns_for
from orlop.build.dockerfile import lint, parser
from orlop.build.graph import IMAGES, Planner, Wishes
from orlop.build.mounting import Secrets
from orlop.build.scheduler import BuildFailed, Scheduler
from orlop.build.temporary import Temporary
from orlop.build.work import Workshop
from orlop.engine import image_events, image_store, sweep, write_out
from orlop.engine.building import caching, outputs, step_network, worker
from orlop.engine.building.aside import Aside
from orlop.engine.building.images import EngineImages
from orlop.errors import InvalidArgument, InvalidReference, NotFound
from orlop.images import attestations, install, platform, reference
from orlop.storage.layers import diff
from orlop.storage.layers.compress import NONE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from orlop.build.cache import Layer
    from orlop.build.context_sources import ContextSource
    from orlop.build.dockerfile.lint import Finding
    from orlop.build.dockerfile.parser import Dockerfile
    from orlop.build.graph import Graph, Node
    from orlop.build.progress import Progress
    from orlop.build.scheduler import Files
    from orlop.engine.building.attesting import Said
    from orlop.engine.building.request import BuildRequest
    from orlop.engine.location import Location
    from orlop.images.config import ImageConfig
    from orlop.images.manifest import Index, Manifest
    from orlop.images.store import Image, ImageStore
    from orlop.storage.leases import Lease
    from orlop.storage.store import Storage

_STDIN = "-"


class Built:
    """What a build came to: the ``image``, the whole ``names`` that it got, what the checks ``findings`` are, and what is ``said`` of it to programs, for each platform."""

    __slots__ = ("findings", "image", "names", "said", "source")

    def __init__(
        self,
        image: Image | None,
        names: list[str],
        findings: list[Finding],
        source: Dockerfile,
        said: Mapping[str, Sequence[Said]] | None = None,
    ) -> None:
        self.image = image
        self.said = said or {}
        self.names = names
        self.findings = findings
        self.source = source


class Opened:
    """A Dockerfile that was read, and the directories that it may copy from. ``commit`` is that of a context out of git."""

    __slots__ = ("commit", "contexts", "dockerfile", "named")

    def __init__(
        self, dockerfile: Dockerfile, contexts: dict[str, Context], named: dict[str, str], commit: str = ""
    ) -> None:
        self.commit = commit
        self.dockerfile = dockerfile
        self.contexts = contexts
        #: What further contexts are, by name, as `orlop.build.graph.Wishes` has it.
        self.named = named

    def close(self) -> None:
        """Keep what is known of the contexts' files."""
        for each in self.contexts.values():
            each.close()


def build(location: Location, request: BuildRequest, progress: Progress) -> Built:
    """Build. An ordinary user's process has to be root of a user namespace of theirs, and must have no other threads.

    Raises:
        InvalidDockerfile: the Dockerfile is wrong; says where.
        BuildFailed: a step failed.
        OrlopError, OSError: something cannot be had, or stored.
    """
    names = [_name(each) for each in request.tags]
    location.prepare()
    worker.clear_abandoned(location)
    images = image_store.open_store(location)
    storage = images.storage
    storage.prepare()
    with sweep.after_change(location, images, resumable=True), storage.leases.take() as lease:
        lease.temporary_key()  # makes the lease's file, before any process is forked that adds to it
        with Aside(location) as aside, Temporary(storage, lease) as temporary, ExitStack() as agents:
            if request.keys:
                request = request.replace(agents={**request.agents, **_key_agents(request, aside, agents)}, keys={})
            opened = open_dockerfile(request, storage, temporary, aside)
            try:
                built = _build(location, request, opened, images, lease, aside, names, progress)
            finally:
                opened.close()
    write_out.begin(location)
    if built.image is not None:
        for name in names:
            image_events.happened(location, "tag", built.image.id, name)
    return built


def _key_agents(request: BuildRequest, directory: str, stack: ExitStack) -> dict[str, str]:
    """The sockets of agents that have the keys of the user's, by id."""
    from orlop.engine.building.key_agent import KeyAgent

    named = enumerate(request.keys.items())
    return {name: stack.enter_context(KeyAgent(directory, f"agent-{at}", files)) for at, (name, files) in named}


def _build(
    location: Location,
    request: BuildRequest,
    opened: Opened,
    store: ImageStore,
    lease: Lease,
    aside: str,
    names: list[str],
    progress: Progress,
) -> Built:
    storage = store.storage
    began = time.time_ns()
    dockerfile = opened.dockerfile
    outputs.check(request.outputs, len(request.platforms or "1"))
    graphs = _plan(location, request, opened, lease, progress)
    for graph in graphs:
        progress.planned(graph)
        _check_entitlements(location, request, graph, dockerfile)
    findings = checks.check(dockerfile, opened.contexts[""].ignored.leaves_out, graphs[0])
    if lint.of(dockerfile).is_error and findings:
        first = findings[0]
        raise dockerfile.source.problem(first.span, f"{first.rule}: {first.message}")
    shop = Workshop(
        storage,
        lease,
        worker.EngineWorker(location, request.wishes, _allowed(request)),
        opened.contexts,
        Secrets(request.secrets, request.agents),
        aside,
        clamp=request.epoch,
        more=[f"{name}={value}" for name, value in sorted(request.wishes.items()) if name == "extra_hosts"],
        imported=caching.opened(request, aside, progress),
    )

    def uses_cache(node: Node) -> bool:
        return not request.no_cache and node.stage not in request.no_cache_filter

    needs_files = not request.outputs or any(each.kind != outputs.NOTHING for each in request.outputs)
    scheduler = Scheduler(
        shop,
        [node for graph in graphs for node in graph.nodes],
        progress,
        parallel=request.parallel or os.cpu_count() or 1,
        uses_cache=uses_cache,
        targets=[graph.target.top for graph in graphs] if needs_files else (),
    )
    try:
        files = scheduler.run()
    except BuildFailed as error:
        error.excerpt = dockerfile.source.excerpt(error.node.step.span)
        raise
    finally:
        if scheduler.has_worked:
            step_network.linger(location)
    known = caching.known(shop, files, scheduler.recalled) if request.cache_to else []
    if request.cache_to:
        tops = [graph.target.top for graph in graphs]
        layers = [layer for top in tops if top is not None for layer in files[top.number].layers]
        caching.export(request, shop, known, layers, progress)
    if not needs_files:
        return Built(None, names, findings, dockerfile)
    products = []
    for graph in graphs:
        squashed = _squash(storage, lease, graph, files, request) if request.squash else None
        made, manifest = result.of(
            graph.target,
            files,
            clamp=request.epoch,
            squashed=squashed,
            annotations={
                **request.annotations,
                **request.platform_annotations.get(str(graph.target.platform), {}),
            },
            inline=(lambda diff_ids: caching.inline(request, known, diff_ids))
            if request.cache_to and not squashed
            else None,
        )
        lease.hold(manifest.digest, manifest.config.digest)
        storage.blobs.write(made.to_bytes())
        top = graph.target.top
        product = Product(made, manifest, files[top.number].chain if top is not None else graph.target.base.top)
        products.append(product)
        if request.attested.is_wanted or request.described.is_wanted:
            from orlop.engine.building import attesting

            about = (store, request, dockerfile, graph, files, product.chain, names, began, opened.commit)
            product.said = attesting.say(*about, request.attested)
            is_same = bool(request.attested.provenance)
            product.described = product.said if is_same else attesting.say(*about, request.described)
    image = None
    if any(each.kind not in outputs.FILES for each in request.outputs) or not request.outputs:
        image = _image(store, request, products, names, lease, scheduler.made)
    everything = [outputs.Files(each.config.platform, each.chain, each.said) for each in products]
    outputs.write(location, request.outputs, storage, everything, image, names)
    described = {str(each.config.platform): each.described for each in products if request.described.is_wanted}
    return Built(image, names, findings, dockerfile, described)


class Product:
    """What was built for one platform, and what is ``said`` of it, and ``described`` to programs only."""

    __slots__ = ("chain", "config", "described", "manifest", "said")

    def __init__(self, config: ImageConfig, manifest: Manifest, chain: str) -> None:
        self.config = config
        self.manifest = manifest
        self.chain = chain
        self.said: Sequence[Said] = ()
        self.described: Sequence[Said] = ()


def _image(
    store: ImageStore,
    request: BuildRequest,
    products: Sequence[Product],
    names: list[str],
    lease: Lease,
    snapshots: Sequence[str],
) -> Image:
    """Put what was built into the store: the one for this machine is what is used here, an index has them all."""
    blobs = store.storage.blobs
    attested = None
    if len(products) > 1 or products[0].said:
        parts = []
        for each in products:
            statements: Sequence[tuple[str, bytes]] = ()
            if each.said:
                from orlop.engine.building import attesting

                statements = attesting.statements(each.said, names, each.manifest, each.config.platform)
            lease.hold(*(layer.digest for layer in each.manifest.layers))
            blobs.write(each.manifest.data)
            parts.append(attestations.Part(each.manifest, each.config.platform, statements))
        attested = attestations.attach(
            parts, blobs, lease, annotations=request.index_annotations, on_descriptor=request.entry_annotations
        )
    here = platform.host()
    used = next((each for each in products if platform.matches(each.config.platform, here)), products[0])
    image = _published(store, used.manifest, names, lease, attested)
    if image is None:
        # What an earlier build made that then failed has not been seen to yet.
        unwritten = dict.fromkeys([*snapshots, *store.storage.snapshots.provisional(used.config.chain_ids)])
        image = install.install(store, used.manifest, names, lease, unpacked=unwritten, attested=attested)
    return image


def _check_entitlements(location: Location, request: BuildRequest, graph: Graph, dockerfile: Dockerfile) -> None:
    """Refuse steps that want more than they may have, also those that were done before."""
    for node in graph.nodes:
        step = node.step
        if isinstance(step, steps.Run) and (step.insecure or step.network == "host" or step.devices):
            from orlop.engine.building import entitlements

            try:
                entitlements.check(step, _allowed(request), location.root)
            except InvalidArgument as error:
                raise dockerfile.source.problem(step.span, str(error)) from None


def _allowed(request: BuildRequest) -> set[str]:
    """What steps may have; who wants the host's network for all of them has allowed it."""
    return {*request.allowed, *(["network.host"] if request.network == "host" else [])}


def _published(
    store: ImageStore, manifest: Manifest, names: list[str], lease: Lease, attested: Index | None
) -> Image | None:
    """The image of a manifest, if it is there already and has these names: then there is nothing to be written."""
    lease.hold(manifest.digest, manifest.config.digest)
    try:
        image = store.find(manifest.config.digest)
    except NotFound:
        return None
    is_same = image.manifest == manifest.digest and image.index == (attested.digest if attested is not None else "")
    return image if is_same and set(names) <= set(image.names) else None


def _plan(location: Location, request: BuildRequest, opened: Opened, lease: Lease, progress: Progress) -> list[Graph]:
    """A graph for each platform, whose nodes are numbered on and on."""
    images = EngineImages(location, lease, progress, pull=request.pull, registries=request.registries)
    graphs: list[Graph] = []
    for wanted in request.platforms or [request.platform]:
        wishes = Wishes(request.target, request.arguments, wanted, opened.named, request.network, request.labels)
        others = sum(len(each.nodes) for each in graphs) if request.platforms else None
        graphs.append(Planner(opened.dockerfile, wishes, images, others).plan())
    return graphs


def open_dockerfile(request: BuildRequest, storage: Storage, temporary: Temporary, aside: str) -> Opened:
    """Find a build's contexts and read its Dockerfile.

    Raises:
        InvalidDockerfile: it is wrong.
        NotFound: it, or a context, is not there.
        OrlopError: a context cannot be had.
    """
    if request.context == request.dockerfile == _STDIN:
        raise InvalidReference("the context and the Dockerfile cannot both come from standard input")
    keeps_git = request.arguments.get("BUILDKIT_CONTEXT_KEEP_GIT_DIR", "") in ("1", "true")
    source = context_sources.find(request.context, storage, temporary, aside, keep_git_dir=keeps_git)
    dockerfile, path = _dockerfile(request, source)
    check = request.arguments.get("BUILDKIT_DOCKERFILE_CHECK")
    if check:
        said = dockerfile.directives
        dockerfile = dockerfile.replace(directives=said.replace(check=check, where={"check": 1, **said.where}))
    known = f"{storage.directory}/build/contexts"
    patterns = patterns_for(source.directory, path, is_local=source.is_local)
    contexts = {"": Context(source.directory, patterns, known=known if source.is_local else "")}
    named: dict[str, str] = {}
    for name, value in request.contexts.items():
        if value.startswith(IMAGES):
            named[name] = value
            continue
        found = context_sources.find(value, storage, temporary, aside)
        ignored = patterns_for(found.directory, "", is_local=found.is_local)
        title = f"the context {name}"
        contexts[name] = Context(found.directory, ignored, name=title, known=known if found.is_local else "")
        named[name] = ""
    return Opened(dockerfile, contexts, named, source.commit)


def _dockerfile(request: BuildRequest, source: ContextSource) -> tuple[Dockerfile, str]:
    """The Dockerfile, and the path by which its own list of patterns is found."""
    name = request.dockerfile
    if source.dockerfile is not None and not name:
        return parser.parse(source.dockerfile), ""
    if name == _STDIN:
        with os.fdopen(os.dup(0), "rb") as file:
            return parser.parse(file.read()), ""
    if source.is_local:
        # The user's own: a link to somewhere else is meant so.
        path = name or _beside(f"{source.directory}/{context_sources.DOCKERFILE}")
        try:
            with open(path, "rb") as file:
                return parser.parse(file.read(), os.path.basename(path)), os.path.abspath(path)
        except FileNotFoundError:
            raise NotFound(f"cannot read the Dockerfile {path}: no such file or directory") from None
    name = name or context_sources.DOCKERFILE
    return parser.parse(source.read(name), os.path.basename(name)), f"{source.directory}/{name}"


def _beside(path: str) -> str:
    """The path of a Dockerfile, or of one in small letters if only that is there."""
    directory, _, name = path.rpartition("/")
    small = f"{directory}/{name.lower()}"
    return small if not os.path.lexists(path) and os.path.exists(small) else path


def _squash(
    storage: Storage, lease: Lease, graph: Graph, files: Mapping[int, Files], request: BuildRequest
) -> Layer | None:
    """One layer of all that the build has changed."""
    from orlop.build.cache import Layer

    top = graph.target.top
    if top is None or not files[top.number].layers:
        return None
    base = storage.snapshots.diff_base(files[top.number].chain, graph.target.base.top)
    made = diff.create(base, storage.blobs, NONE, clamp=request.epoch, lease=lease)
    return Layer(made.diff_id, made.digest, made.size)


def _name(text: str) -> str:
    name = reference.parse(text).with_default_tag()
    if name.digest:
        raise InvalidReference(f"cannot tag an image with a digest: {text}")
    return str(name)
