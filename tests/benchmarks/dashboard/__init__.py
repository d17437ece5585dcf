"""Every page on a store of any size."""
