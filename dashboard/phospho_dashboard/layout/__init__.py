"""The frame around pages, and views: a page, its JSON twin and its API endpoint in one declaration."""
