"""Stands in for the standard library's `platform` and adds stridefold's commands beside it.

`python -m platform.search` is the main one. Everything the standard module offers is here too, executed
from its own source, because numpy, torch, ray and uuid import it by this name (docs/decisions/0001).
"""

import sysconfig as _sysconfig
from importlib.machinery import SourceFileLoader as _SourceFileLoader

# The loader keeps the compiled standard module in its own __pycache__, which halves the cost of this import.
exec(_SourceFileLoader(__name__, _sysconfig.get_path("stdlib") + "/platform.py").get_code(__name__), globals())  # type: ignore[arg-type]
