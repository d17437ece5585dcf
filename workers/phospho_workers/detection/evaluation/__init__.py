"""The quality of definitions on labelled logs, measured with the code that the workers run."""
