"""The OpenAPI document of the query API."""
