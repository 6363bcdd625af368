"""Makes `import platform` find stridefold's package, which contains the standard library's module.

Installed beside the packages and imported by `platform-precedence.pth` when Python starts, as setuptools
does for distutils: without it, `python -m platform.search` works only from the project's root.
"""

import os
import sys
from importlib.machinery import ModuleSpec, PathFinder


class PlatformFinder:
    """Answers for the top-level name `platform` alone, and only with the package that holds search.py."""

    @staticmethod
    def find_spec(name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        if name != "platform":
            return None
        for folder in sys.path:
            if os.path.isfile(os.path.join(folder, "platform", "search.py")):
                return PathFinder.find_spec(name, [folder])
        return None


sys.meta_path.insert(0, PlatformFinder)  # type: ignore[arg-type]
