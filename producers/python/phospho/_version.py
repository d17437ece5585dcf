"""The version of the package, of both distributions, and of the User-Agent."""

__version__ = "1.0.0"
