"""Try a definition on past tasks before it is saved: previews, diffs, label queue and cost estimates."""
