"""lit_dl: see how neural networks train.

Commands: ``python -m lit_dl.train``. In a notebook: ``lit_dl.data``, ``lit_dl.models``, ``lit_dl.task`` and
``lit_dl.diagnostics`` take plain arguments and need no config.
"""

from importlib.metadata import version

__version__ = version("lit_dl")
