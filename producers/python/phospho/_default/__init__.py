"""The client that `phospho.init` makes, and what uses it: the module functions, `wrap` and `auto_log`."""
