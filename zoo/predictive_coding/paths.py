"""Finding a module by the path that a person writes: `layer1[0].conv1`, `features.3`, `blocks[-1]`."""

from __future__ import annotations

import difflib
import re

from torch import nn

_STEP = re.compile(r"""\.?([A-Za-z_]\w*|\d+)|\[(-?\d+)\]|\[(['"])(.+?)\3\]""")


def canonical_name(network: nn.Module, path: str) -> str:
    """Return the dotted name under which PyTorch knows the module at `path`.

    Raises:
        ValueError: If there is no such module; the message names the nearest ones.
    """
    name, module, end = [], network, 0
    while end < len(path):
        step = _STEP.match(path, end)
        if step is None:
            raise _unknown(network, path)
        key = step[1] or step[4] or _index(step[2], module)
        child = dict(module.named_children()).get(key)
        if child is None:
            raise _unknown(network, path)
        name.append(key)
        module, end = child, step.end()
    if not name:
        raise _unknown(network, path)
    return ".".join(name)


def _index(index: str, module: nn.Module) -> str:
    """Return a possibly negative index as the name of a child."""
    return str(int(index) + len(list(module.children()))) if index.startswith("-") else index


def _unknown(network: nn.Module, path: str) -> ValueError:
    names = [name for name, _ in network.named_modules() if name]
    nearest = difflib.get_close_matches(re.sub(r"\[['\"]?(.+?)['\"]?\]", r".\1", path), names, 3, 0.5)
    hint = f"did you mean {' or '.join(map(repr, nearest))}?" if nearest else f"there are {_some(names)}"
    return ValueError(f"the backbone has no module {path!r}; {hint}")


def _some(names: list[str]) -> str:
    shown = ", ".join(map(repr, names[:8]))
    return f"{shown} and {len(names) - 8} more" if len(names) > 8 else shown
