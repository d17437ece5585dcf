"""What the pages ask of ClickHouse, a module a page. Blocking; times come as ISO 8601 in UTC."""
