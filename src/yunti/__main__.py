"""`python -m yunti` is the command line."""

from yunti.cli import main

main()
