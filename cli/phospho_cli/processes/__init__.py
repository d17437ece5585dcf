"""Each process put together: gateway, workers, pages and jobs over one store and one publisher."""
