from __future__ import annotations

from typing import Any

import pytest

from orlop.cli.mount_option import read


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("target=/x", {"Type": "volume", "Target": "/x"}),
        ("type=bind,src=/a,dst=/x,ro", {"Type": "bind", "Source": "/a", "Target": "/x", "ReadOnly": True}),
        (
            "type=bind,source=/a,destination=/x,readonly=0",
            {"Type": "bind", "Source": "/a", "Target": "/x", "ReadOnly": False},
        ),
        (
            "type=bind,src=/a,dst=/x,bind-propagation=rslave,bind-nonrecursive",
            {
                "Type": "bind",
                "Source": "/a",
                "Target": "/x",
                "BindOptions": {"Propagation": "rslave", "NonRecursive": True},
            },
        ),
        (
            'dst=/x,src=n,volume-nocopy,volume-subpath=s,volume-label=a=1,"volume-opt=o=size=1m,uid=2",volume-driver=local',
            {
                "Type": "volume",
                "Source": "n",
                "Target": "/x",
                "VolumeOptions": {
                    "NoCopy": True,
                    "Subpath": "s",
                    "Labels": {"a": "1"},
                    "DriverConfig": {"Name": "local", "Options": {"o": "size=1m,uid=2"}},
                },
            },
        ),
        (
            "type=tmpfs,dst=/x,tmpfs-size=1m,tmpfs-mode=1770",
            {"Type": "tmpfs", "Target": "/x", "TmpfsOptions": {"SizeBytes": 1 << 20, "Mode": 0o1770}},
        ),
        (
            "type=image,src=i,dst=/x,image-subpath=p",
            {"Type": "image", "Source": "i", "Target": "/x", "ImageOptions": {"Subpath": "p"}},
        ),
        ("type=bind,src=/a,dst=/x,idmap", {"Type": "bind", "Source": "/a", "Target": "/x", "IDMap": "match-user"}),
    ],
)
def test_fields_become_docker_s_object(text: str, expected: dict[str, Any]) -> None:
    assert read(text) == expected


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "target is required"),
        ("type=bind,src=/a", "target is required"),
        ("dst=/x,nonsense", "key=value"),
        ("dst=/x,colour=red", "unexpected key 'colour'"),
        ("dst=/x,ro=perhaps", "invalid value for ro"),
        ("type=pipe,dst=/x", "invalid mount type"),
        ("type=tmpfs,dst=/x,tmpfs-size=big", "tmpfs-size"),
        ("type=tmpfs,dst=/x,tmpfs-mode=999", "tmpfs-mode"),
        ("type=bind,src=/a,dst=/x,tmpfs-size=1m", "cannot mix 'tmpfs-\\*'"),
        ("type=bind,src=/a,dst=/x,bind-recursive=bogus", "bind-recursive"),
        ("type=bind,src=/a,dst=/x,bind-recursive=readonly", "requires 'readonly'"),
        ("type=bind,src=/a,dst=/x,ro,bind-recursive=readonly,bind-propagation=shared", "rprivate"),
        ("type=bind,src=/a,dst=/x,bind-recursive=writable", "requires 'readonly'"),
        ('"type=bind', "commas"),
    ],
)
def test_what_cannot_be_is_refused(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        read(text)
