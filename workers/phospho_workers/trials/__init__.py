"""Trial runs for the pages, which store nothing: previews, version diffs, label queues and cost estimates."""
