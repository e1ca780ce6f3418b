"""`python -m katib_py.cli`: the command line."""

from katib_py.cli import main

main()
