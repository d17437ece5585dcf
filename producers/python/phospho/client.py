"""The client, under the name that people import it by."""

from ._client import Client

__all__ = ["Client"]
