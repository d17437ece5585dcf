"""`python -m phospho_cli`."""

from phospho_cli import main

main(prog_name="phospho")
