"""`python -m phospho_workers.cli`."""

from phospho_workers.cli import main

main(prog_name="phospho")
