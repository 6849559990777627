"""From a Dockerfile to what has to be done for its target: a graph of nodes, each a step upon another's files.

Only the stages that the target needs are in it. A node knows the node whose files it begins with, or the image, and the
nodes whose files it reads; nodes that do not depend on each other can be worked on at the same time.
"""

from __future__ import annotations

from orlop.build import steps, variables
from orlop.build.dockerfile import instruction_readers, instructions, lint, statements
from orlop.build.dockerfile.problem import Source, suggestion
from orlop.build.stage_state import StageState, Written
from orlop.build.value import Value
from orlop.errors import InvalidArgument, InvalidReference, OrlopError
from orlop.images import config, platform, reference

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Protocol

    from orlop.build.dockerfile.instructions import Instruction
    from orlop.build.dockerfile.lint import Finding
    from orlop.build.dockerfile.parser import Dockerfile, Stage
    from orlop.build.dockerfile.problem import Span
    from orlop.build.steps import Origin, Step
    from orlop.images.manifest import Manifest
    from orlop.images.platform import Platform
else:
    Protocol = object  # `typing` takes long to import

SCRATCH = "scratch"
#: How contexts begin that are images: in a registry or the store, or in a directory that has an OCI image layout.
IMAGES = ("docker-image://", "oci-layout://")
_WITH_STEPS = (instructions.Run, instructions.Copy, instructions.Workdir)


class Base(Value):
    """An image that a stage begins with, or that files are taken from."""

    name: str
    config: config.ImageConfig
    #: None for `SCRATCH`.
    manifest: Manifest | None

    @property
    def top(self) -> str:
        """The name of its topmost snapshot, or empty."""
        chain = self.config.chain_ids
        return chain[-1] if chain else ""


class Images(Protocol):
    """Where images come from: the engine's store, and registries."""

    def find(self, name: str, wanted: Platform) -> Base:
        """The image of a name for a platform, its files unpacked.

        Raises:
            OrlopError: it cannot be had.
        """


class Wishes(Value):
    """What the user says beside the Dockerfile. ``contexts`` are the names of ``--build-context``; ``network`` is RUN's."""

    target: str = ""
    arguments: Mapping[str, str] = {}
    platform: Platform = platform.host()
    contexts: Mapping[str, str] = {}
    network: str = "default"
    labels: Mapping[str, str] = {}


class Node:
    """One step of one stage: what it begins with is the node ``parent``, or else the image ``base``.

    ``reads`` are the nodes whose files it reads, and the images, for each origin; None is an image without a step upon it.
    ``number`` is the step's own among all of the build, ``place`` that in its stage, for people; ``title`` is the stage's name for them.
    """

    __slots__ = ("base", "number", "parent", "place", "reads", "stage", "step", "title")

    def __init__(
        self,
        number: int,
        stage: str,
        place: str,
        step: Step,
        base: Base,
        parent: Node | None,
        reads: dict[Origin, tuple[Node | None, Base]],
        title: str = "",
    ) -> None:
        self.number = number
        self.stage = stage
        self.title = title or stage
        self.place = place
        self.step = step
        self.base = base
        self.parent = parent
        self.reads = reads

    @property
    def needs(self) -> list[Node]:
        """The nodes that come before."""
        found = [node for node, _ in self.reads.values() if node is not None]
        return [self.parent, *found] if self.parent is not None else found


class Built:
    """A stage whose instructions were read: its state, its topmost node (None without any), and its history."""

    __slots__ = ("base", "count", "done", "history", "platform", "stage", "state", "top")

    def __init__(
        self,
        stage: Stage,
        state: StageState,
        base: Base,
        top: Node | None,
        platform: Platform,
        history: list[tuple[Written, Node | None]],
    ) -> None:
        self.stage = stage
        self.state = state
        self.base = base
        self.top = top
        self.platform = platform
        self.history = history
        #: How many steps its own instructions ask for, and how many nodes it has.
        self.count = sum(isinstance(each, _WITH_STEPS) for each in stage.instructions)
        self.done = 0


class Graph:
    """What is to be done: ``nodes`` in an order in which they can be, ``target`` what is wanted of it, ``stages`` all that this needs.

    ``arguments`` are those before the first stage.
    """

    __slots__ = ("arguments", "findings", "nodes", "stages", "target")

    def __init__(
        self,
        nodes: list[Node],
        target: Built,
        stages: list[Built],
        arguments: dict[str, str | None],
        findings: list[Finding],
    ) -> None:
        self.arguments = arguments
        self.nodes = nodes
        self.target = target
        self.stages = stages
        self.findings = findings


class Planner:
    """Makes a graph of a Dockerfile. ``others`` is how many nodes the build has for other platforms already, if there are any."""

    __slots__ = (
        "_built",
        "_dockerfile",
        "_global",
        "_images",
        "_nodes",
        "_others",
        "_platforms",
        "_wishes",
        "_words",
        "found",
    )

    def __init__(self, dockerfile: Dockerfile, wishes: Wishes, images: Images, others: int | None = None) -> None:
        self._others = others
        self._dockerfile = dockerfile
        self._wishes = wishes
        self._images = images
        self._words = variables.Words(dockerfile.source, dockerfile.directives.escape)
        self._platforms = variables.of_platforms(wishes.platform, platform.host(), wishes.target)
        self._global = variables.Scope(self._words, wishes.arguments, self._platforms)
        self._built: dict[int, Built] = {}
        self._nodes: list[Node] = []
        self.found: dict[tuple[str, str], Base] = {}

    def plan(self) -> Graph:
        """The graph of the target.

        Raises:
            InvalidDockerfile: something in it cannot be.
            InvalidArgument: the target is no stage.
            OrlopError: an image cannot be had.
        """
        for argument in self._dockerfile.arguments:
            self._global.declare(argument)
        target = self._build(self._target())
        target.state.config.labels.update(self._wishes.labels)
        findings = [
            lint.Finding("UndefinedVar", variables.undefined_message(name, known), span)
            for name, span, known in self._words.undefined
        ]
        return Graph(self._nodes, target, list(self._built.values()), self._global.arguments, findings)

    def _target(self) -> Stage:
        name = self._wishes.target
        if not name:
            return self._dockerfile.stages[-1]
        stage = self._dockerfile.find(name)
        if stage is None:
            known = [each.name for each in self._dockerfile.stages if each.name]
            listed = f": its stages are {', '.join(known)}" if known else ": its stages have no names"
            raise InvalidArgument(
                f"target stage '{name}' is not in {self._dockerfile.source.name}{suggestion(name, known)}{listed}"
            )
        return stage

    def _build(self, stage: Stage) -> Built:
        """A stage with all that it needs."""
        built = self._built.get(stage.number)
        if built is None:
            built = self._begin(stage)
            self._built[stage.number] = built
            for instruction in (*self._triggers(built), *stage.instructions):
                self._take(built, instruction)
        return built

    def _begin(self, stage: Stage) -> Built:
        base_line = stage.base
        name = self._from_word(base_line.image, base_line)
        if not name:
            raise self._problem(base_line.span, f"the image's name {base_line.image} is empty: expected a value for it")
        wanted = self._wishes.platform
        if base_line.platform:
            text = self._from_word(base_line.platform, base_line)
            if not text:
                message = f"the platform {base_line.platform} is empty: expected a value for it"
                raise self._problem(base_line.span, message)
            try:
                wanted = platform.parse(text)
            except InvalidArgument as error:
                raise self._problem(base_line.span, str(error)) from None
        context = self._context(name)
        has_files = context is not None and not self._wishes.contexts[context]
        below = self._dockerfile.find(name, stage.number) if not name.isdigit() else None
        if below is not None and context is None:
            before = self._build(below)
            made = config.ImageConfig.parse(_image_config(before).to_bytes())
            base, top, wanted = before.base, before.top, before.platform
            history = list(before.history)
            author = before.state.author
        else:
            base = self._image(SCRATCH if has_files else name, wanted, base_line.span)
            made, top, history = config.ImageConfig.parse(base.config.to_bytes()), None, []
            author = ""
        scope = variables.Scope(self._words, self._wishes.arguments, self._outer(), made.config.env)
        state = StageState(
            made.config,
            scope,
            self._dockerfile.source,
            lambda text, instruction: self._origin(text, instruction, stage),
            self._wishes.network,
        )
        state.author = author
        built = Built(stage, state, base, top, wanted, history)
        if context is not None and has_files:
            self._take_context(built, context)
        return built

    def _context(self, name: str) -> str | None:
        """The further context that a name means: its own name, or that of the same image in other words."""
        contexts = self._wishes.contexts
        if name in contexts or not contexts:
            return name if name in contexts else None
        try:
            wanted = reference.parse(name).with_default_tag()
            return next((each for each in contexts if reference.parse(each).with_default_tag() == wanted), None)
        except (InvalidArgument, InvalidReference):
            return None

    def _take_context(self, built: Built, name: str) -> None:
        """Begin a stage with the files of a context."""
        line = built.stage.base
        built.count += 1
        step = steps.Copy(origin=steps.Origin(context=name), sources=("/",), target="/", text=line.text, span=line.span)
        built.top = self._node(built, step)
        built.history.append((Written(f"FROM {name}", step), built.top))

    def _outer(self) -> dict[str, str]:
        declared = {name: value for name, value in self._global.arguments.items() if value is not None}
        return self._platforms | declared

    def _from_word(self, text: str, instruction: Instruction) -> str:
        return self._words.one(text, self._platforms | self._global.variables, instruction.span)

    def _image(self, name: str, wanted: Platform, span: Span) -> Base:
        context = self._context(name)
        if context is not None:
            name = self._wishes.contexts[context].removeprefix("docker-image://")
        elif name.startswith(IMAGES):
            # Where on this machine images lie is for the user to say, not for the author of a Dockerfile.
            message = f"{name} is no name of an image: add --build-context NAME={name} and write NAME"
            raise self._problem(span, message)
        if name == SCRATCH:
            made = config.ImageConfig(wanted)
            # What is built upon nothing says these, as with BuildKit.
            made.config.env = [f"PATH={variables.DEFAULT_PATH}"]
            made.config.working_dir = "/"
            return Base(SCRATCH, made, None)
        key = (name, str(wanted))
        if key not in self.found:
            try:
                if not name.startswith(IMAGES):
                    reference.parse(name)
            except (InvalidArgument, InvalidReference) as error:
                raise self._problem(span, str(error)) from None
            try:
                self.found[key] = self._images.find(name, wanted)
            except OrlopError as error:
                raise self._missing(error, name, span) from None
        return self.found[key]

    def _triggers(self, built: Built) -> Iterator[Instruction]:
        """The instructions that the image below has for whoever builds upon it."""
        name = f"ONBUILD of {built.stage.base.image}"
        for trigger in built.state.triggers:
            text = statements.split(trigger.encode("utf-8", "surrogateescape"), name)
            for statement in text.statements:
                yield instruction_readers.read(statement, Source(name, text.source.lines), "\\")

    def _take(self, built: Built, instruction: Instruction) -> None:
        written = built.state.apply(instruction)
        node = None
        if written.step is not None:
            node = self._node(built, written.step)
            built.top = node
        built.history.append((written, node))

    def _node(self, built: Built, step: Step) -> Node:
        reads = {}
        for origin in _origins(step):
            if origin.stage >= 0:
                other = self._build(self._dockerfile.stages[origin.stage])
                reads[origin] = (other.top, other.base)
            elif origin.image:
                reads[origin] = (None, self._image(origin.image, built.platform, step.span))
        built.done += 1
        count = max(built.count, built.done)
        stage = built.stage.title
        node = Node(
            len(self._nodes) + (self._others or 0),
            stage,
            f"{built.done}/{count}",
            step,
            built.base,
            built.top,
            reads,
            stage if self._others is None else f"{self._wishes.platform} {stage}",
        )
        self._nodes.append(node)
        return node

    def _origin(self, text: str, instruction: Instruction, stage: Stage) -> Origin:
        """What ``--from`` or ``from=`` means: a context of that name, a stage that comes before, or an image."""
        if not text:
            return steps.Origin()
        context = self._context(text)
        if context is not None:
            is_image = self._wishes.contexts[context].startswith(IMAGES)
            return steps.Origin(image=text) if is_image else steps.Origin(context=context)
        found = self._dockerfile.find(text, stage.number)
        if found is not None:
            return steps.Origin(stage=found.number)
        later = self._dockerfile.find(text)
        if later is not None or text.isdigit():
            known = [each.title for each in self._dockerfile.stages[: stage.number]]
            expected = f"expected one of {', '.join(known)}" if known else "no stage comes before"
            raise self._problem(instruction.span, f"'{text}' is no stage that comes before this one: {expected}")
        return steps.Origin(image=text)

    def _missing(self, error: OrlopError, name: str, span: Span) -> OrlopError:
        """The error that an image cannot be had, which perhaps was meant to be a stage."""
        near = suggestion(name, [each.name for each in self._dockerfile.stages if each.name])
        return self._problem(span, f"{error}{near}")

    def _problem(self, span: Span, message: str) -> OrlopError:
        return self._dockerfile.source.problem(span, message)


def _origins(step: Step) -> Sequence[Origin]:
    if isinstance(step, steps.Copy):
        return (step.origin,)
    if isinstance(step, steps.Run):
        return tuple(mounted.origin for mounted in step.mounts if mounted.origin is not None)
    return ()


def _image_config(built: Built) -> config.ImageConfig:
    made = config.ImageConfig(built.platform)
    made.config = built.state.config
    return made
