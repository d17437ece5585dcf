"""The default client that `phospho.init` makes, and its users: the module functions, `wrap` and `auto_log`."""
