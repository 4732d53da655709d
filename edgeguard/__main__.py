"""`python -m edgeguard`: the command line, where the `edgeguard` script is not on the path.

Nothing else may stand here.
"""

from edgeguard.cli import main

if __name__ == "__main__":
    main()
