"""What steps get beyond the default isolation, only if whoever builds allows it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.integration.build.conftest import Builder

DEVICES = {
    "cdiVersion": "0.6.0",
    "kind": "vendor1.com/device",
    "devices": [
        {
            "name": "foo",
            "containerEdits": {
                "env": ["FOO=injected"],
                "mounts": [{"hostPath": "/etc/hostname", "containerPath": "/deep/er/file", "options": ["ro", "bind"]}],
            },
        },
        {
            "name": "bar",
            "annotations": {"org.mobyproject.buildkit.device.class": "class1"},
            "containerEdits": {"env": ["BAR=injected"]},
        },
    ],
}


@pytest.fixture(scope="module", autouse=True)
def devices(builder: Builder) -> None:
    """Two devices that a file of the engine's describes."""
    (builder.root / "cdi").mkdir(parents=True)
    (builder.root / "cdi/vendor1.json").write_text(json.dumps(DEVICES))


def test_the_host_s_network_is_had_only_where_that_is_allowed(builder: Builder) -> None:
    context = builder.context("FROM base\nRUN --network=host readlink /proc/self/ns/net >/net\n")
    refused = builder.build(context, "--allow=security.insecure")
    assert refused.code == 1
    assert "Dockerfile:2: RUN --network=host is not allowed: add --allow network.host" in refused.err
    assert builder.build(context, "--allow=security.insecure,network.host").code == 0
    assert builder.build(context, "--network=host").code == 0
    # What was done before is no way around it.
    assert builder.build(context).code == 1


def test_a_step_gets_the_devices_that_are_allowed(builder: Builder) -> None:
    wanted = "--device=vendor1.com/device=foo,required --device=class1 --device=none.com/x"
    text = f"FROM base\nRUN {wanted} env | sed -n 's/=injected//p' | sort >/got; cat /deep/er/file\n"
    image = builder.built(text, "--allow=device")
    assert builder.output(image, "cat", "/got").split() == ["BAR", "FOO"]
    assert builder.entries(image) == [["got"]]  # nothing of the devices is in the layer
    refused = builder.build(builder.context(text), "--allow=device=class1")
    assert refused.code == 1
    assert "Dockerfile:2: RUN --device=vendor1.com/device=foo is not allowed" in refused.err
