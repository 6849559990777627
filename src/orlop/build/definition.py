"""The steps of a build as BuildKit would write them down for people (its LLB, ``solver/pb/ops.proto``, in JSON).

Only provenance has this: it says what was done, and nothing ever reads it to do it again.
"""

from __future__ import annotations

from orlop.build import steps
from orlop.build.graph import IMAGES
from orlop.images import media_types, reference
from orlop.storage.layers.compress import NONE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from orlop.build.cache import Layer
    from orlop.build.graph import Base, Graph, Node
    from orlop.images.platform import Platform

_MOUNT_TYPES = {"bind": 0, "secret": 1, "ssh": 2, "cache": 3, "tmpfs": 4}
_SHARING = {"shared": 0, "private": 1, "locked": 2}
_NETWORKS = {"default": 0, "host": 1, "none": 2}


class Text(str):
    """A text that is to be written in base 64, once what is secret in it is gone."""

    __slots__ = ()


def images(graph: Graph) -> list[tuple[Base, Platform]]:
    """The images that a graph begins with or takes files from, each once, with the platform that it is for."""
    found: dict[tuple[str, str], tuple[Base, Platform]] = {}
    bases = [base for node in graph.nodes for base in (node.base, *(each for _, each in node.reads.values()))]
    for base in (*bases, graph.target.base):
        if base.manifest is not None:
            found.setdefault((base.name, str(base.config.platform)), (base, base.config.platform))
    return list(found.values())


def digest_of(base: Base, known: Mapping[str, str]) -> str:
    """The digest of an image: the one that its registry knows it by, or else that of its manifest here."""
    if base.manifest is None:
        return ""
    return known.get(base.name) or base.manifest.digest


def package_url(name: str, wanted: Platform) -> str:
    """An image as a package URL (purl-spec, type ``docker``)."""
    from urllib.parse import quote

    if name.startswith(IMAGES):
        place = name.partition("://")[2].partition("@")[0]
        return f"pkg:oci/{quote(place.rpartition('/')[2], safe=':')}?platform={quote(str(wanted), safe='')}"
    parsed = reference.parse(name)
    version = parsed.digest or parsed.tag or "latest"
    path = quote(parsed.familiar_name, safe="/:")
    return f"pkg:docker/{path}@{quote(version, safe=':')}?platform={quote(str(wanted), safe='')}"


def layer(each: Layer) -> dict[str, Any]:
    """The descriptor of a layer that a step has made."""
    kind = media_types.layer_type(media_types.OCI_MANIFEST, NONE)
    return {"mediaType": kind, "digest": each.digest, "size": each.size}


def names(graph: Graph) -> dict[int, str]:
    """What each node is called: its images and contexts come before all of them."""
    first = len(_sources(graph, {}))
    return {node.number: f"step{first + node.number}" for node in graph.nodes}


def of(graph: Graph, known: Mapping[str, str]) -> list[dict[str, Any]]:
    """The steps, each with what it does and the names of those that it begins with or reads from."""
    sources = _sources(graph, known)
    called = names(graph)
    places = {key: f"step{place}:0" for place, key in enumerate(sources)}
    made = [{"id": f"step{place}", "op": {"Op": {"source": each}}} for place, each in enumerate(sources.values())]
    for node in graph.nodes:
        inputs = []
        first = _place(node.parent, node.base, called, places)
        if first:
            inputs.append(first)
        others: dict[steps.Origin, int] = {}
        for origin in _read(node):
            place = places.get(("context", origin.context), "")
            if origin in node.reads:
                place = _place(*node.reads[origin], called, places)
            if place:
                others[origin] = len(inputs)
                inputs.append(place)
        entry: dict[str, Any] = {"id": called[node.number], "op": _operation(node, 0 if first else -1, others)}
        if inputs:
            entry["inputs"] = inputs
        made.append(entry)
    return made


def _sources(graph: Graph, known: Mapping[str, str]) -> dict[tuple[str, str], dict[str, Any]]:
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for base, _ in images(graph):
        identifier = base.name
        if not base.name.startswith(IMAGES):
            whole = str(reference.parse(base.name).with_default_tag()).partition("@")[0]
            identifier = f"docker-image://{whole}@{digest_of(base, known)}"
        found["image", _image(base)] = {"identifier": identifier}
    for node in graph.nodes:
        for origin in _read(node):
            if origin.is_context:
                found["context", origin.context] = {"identifier": f"local://{origin.context or 'context'}"}
    return found


def _image(base: Base) -> str:
    return f"{base.name} {base.config.platform}"


def _place(node: Node | None, base: Base, called: Mapping[int, str], places: Mapping[tuple[str, str], str]) -> str:
    if node is not None:
        return f"{called[node.number]}:0"
    return places.get(("image", _image(base)), "")


def _read(node: Node) -> list[steps.Origin]:
    step = node.step
    if isinstance(step, steps.Copy):
        return [step.origin] if step.sources else []
    if isinstance(step, steps.Run):
        return list(dict.fromkeys(each.origin for each in step.mounts if each.origin is not None))
    return []


def _operation(node: Node, below: int, others: Mapping[steps.Origin, int]) -> dict[str, Any]:
    step = node.step
    if isinstance(step, steps.Run):
        return {"Op": {"exec": _execution(step, below, others)}, "platform": _platform(node.base.config.platform)}
    actions: list[dict[str, Any]] = []
    if isinstance(step, steps.Copy):
        source = others.get(step.origin, -1)
        for each in step.sources:
            copied: dict[str, Any] = {"src": each, "dest": step.target, "createDestPath": True, "allowWildcard": True}
            copied["mode"] = int(step.mode, 8) if step.mode and set(step.mode) <= set("01234567") else -1
            if step.owner:
                copied["owner"] = step.owner
            actions.append({"input": below, "secondaryInput": source, "output": 0, "Action": {"copy": copied}})
        for document in step.documents:
            path = step.target + document.name if step.target.endswith("/") else step.target
            file = {"path": path, "mode": 0o644, "data": Text(document.content)}
            actions.append({"input": below, "secondaryInput": -1, "output": 0, "Action": {"mkfile": file}})
    elif isinstance(step, steps.MakeDirectory):
        directory = {"path": step.path, "mode": 0o755, "makeParents": True, "timestamp": -1}
        actions.append({"input": below, "secondaryInput": -1, "output": 0, "Action": {"mkdir": directory}})
    return {"Op": {"file": {"actions": actions}}, "platform": _platform(node.base.config.platform)}


def _execution(step: steps.Run, below: int, others: Mapping[steps.Origin, int]) -> dict[str, Any]:
    mounts: list[dict[str, Any]] = [{"input": below, "dest": "/", "output": 0}]
    for each in step.mounts:
        mount = each.mount
        source = others.get(each.origin, -1) if each.origin is not None else -1
        made: dict[str, Any] = {"input": source, "dest": mount.target, "output": -1}
        if mount.source:
            made["selector"] = mount.source
        if mount.readonly:
            made["readonly"] = True
        if _MOUNT_TYPES[mount.type]:
            made["mountType"] = _MOUNT_TYPES[mount.type]
        if mount.type == "cache":
            made["cacheOpt"] = {"ID": mount.id or mount.target, "sharing": _SHARING[mount.sharing]}
        elif mount.type in ("secret", "ssh"):
            made[f"{mount.type}Opt".replace("ssh", "SSH")] = {"ID": mount.id, "optional": not mount.required}
        mounts.append(made)
    meta: dict[str, Any] = {"args": list(step.arguments), "env": list(step.environment), "cwd": step.workdir}
    if step.user:
        meta["user"] = step.user
    made = {"meta": meta, "mounts": mounts}
    if _NETWORKS.get(step.network):
        made["network"] = _NETWORKS[step.network]
    if step.insecure:
        made["security"] = 1
    return made


def _platform(of: Platform) -> dict[str, str]:
    made = {"Architecture": of.architecture, "OS": of.os}
    if of.variant:
        made["Variant"] = of.variant
    return made
