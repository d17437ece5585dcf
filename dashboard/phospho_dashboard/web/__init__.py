"""HTTP for pages and the API: forms, answers, origins, templates and static files."""
