"""orlop's configuration: ``/etc/orlop/config.toml``, and then the user's own ``$XDG_CONFIG_HOME/orlop/config.toml``.

Of the two the second counts where both say the same. `orlop.images.registry.hosts` tells what there is to say of
registries, `orlop.images.layer_limits` what of layers, `orlop.network.firewall.policy` what of the firewall.
"""

from __future__ import annotations

from orlop.errors import InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

SYSTEM = "/etc/orlop/config.toml"


def user_directory(environment: Mapping[str, str]) -> str:
    """Where a user's configuration is; empty where there is no user with a home directory."""
    directory = environment.get("XDG_CONFIG_HOME", "")
    home = environment.get("HOME", "")
    return directory or (f"{home}/.config" if home else "")


def tables(environment: Mapping[str, str], name: str, system: str = SYSTEM) -> Iterator[tuple[str, dict[str, Any]]]:
    """The table of a name in each file that has it, the one that counts before others last; with the file's path.

    Raises:
        InvalidArgument: a file is not TOML, or has something else than a table under the name.
    """
    directory = user_directory(environment)
    for path in (system, *([f"{directory}/orlop/config.toml"] if directory else [])):
        found = read(path).get(name, {})
        if not isinstance(found, dict):
            raise InvalidArgument(f"{name} in {path} must be a table")
        yield path, found


def read(path: str) -> dict[str, Any]:
    """A TOML file; empty if there is none.

    Raises:
        InvalidArgument: it cannot be read, or is not TOML.
    """
    try:
        with open(path, "rb") as file:
            import tomllib

            return tomllib.load(file)
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError) as error:
        raise InvalidArgument(f"the configuration {path} cannot be read: {error}") from None
