"""Text as every reader of it understands it: one spelling, and phrases that say what somebody does."""
