"""hostctl: the part of http-registry that runs on a host and changes it, one transaction a request.

Standard library and tomlkit only; Python 3.9 or newer. It travels as one zipapp file.
"""

ISOLATED = "-I -S"
"""How Python runs it: no variable, module or .pth file of the host's owners has a say."""
PYTHON = f"python3 {ISOLATED}"
"""How it is called there."""
