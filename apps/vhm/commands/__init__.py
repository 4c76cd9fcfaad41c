"""One module a command of `vhm`; each is imported only when its command is called."""
