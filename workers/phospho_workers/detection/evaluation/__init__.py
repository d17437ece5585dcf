"""How well definitions find their events in labelled logs, measured by the code that the workers run."""
