"""What the entries of ``mounts`` are read as, before anything is mounted."""

from __future__ import annotations

from orlop.runtime.mounts import read

LABEL = "system_u:object_r:container_file_t:s0:c1,c2"


def test_only_file_systems_of_the_containers_own_get_the_mount_label() -> None:
    kinds = ("tmpfs", "devpts", "proc", "sysfs", "mqueue", "cgroup")
    entries = [{"destination": f"/{kind}", "type": kind, "source": kind} for kind in kinds]
    entries.append({"destination": "/srv", "type": "bind", "source": "/srv"})
    labelled = [each.kind for each in read(entries, "/bundle", LABEL) if f"context={LABEL}" in each.options.data]
    assert labelled == ["tmpfs", "devpts"]


def test_a_relative_source_of_a_bind_mount_lies_in_the_bundle() -> None:
    entries = [
        {"destination": "data/", "type": "bind", "source": "data"},
        {"destination": "/tmp", "type": "tmpfs", "source": "tmpfs"},
    ]
    assert [(each.source, each.destination) for each in read(entries, "/bundle")] == [
        ("/bundle/data", "/data"),
        ("tmpfs", "/tmp"),
    ]
