"""HTTP for pages and the API: routes, forms, origins, templates and static files."""
