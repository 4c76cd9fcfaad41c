"""`python -m vhm` is `vhm`."""

from vhm.cli import main

main()
