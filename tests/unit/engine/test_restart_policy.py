from __future__ import annotations

import pytest

from orlop.engine import restart_policy


@pytest.mark.parametrize(
    ("text", "name", "most"), [("no", "no", 0), ("always", "always", 0), ("on-failure", "on-failure", 0),
                               ("on-failure:5", "on-failure", 5), ("unless-stopped", "unless-stopped", 0)]
)  # fmt: skip
def test_a_policy_is_docker_s_object(text: str, name: str, most: int) -> None:
    assert restart_policy.read(text) == {"Name": name, "MaximumRetryCount": most}


@pytest.mark.parametrize("text", ["", "never", "always:2", "no:", "on-failure:", "on-failure:-1"])
def test_what_is_no_policy_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must be|is for on-failure"):
        restart_policy.read(text)
