"""Followers: small processes that derive facts from facts in ClickHouse, beside the stream and never in its way."""
