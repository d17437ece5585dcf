"""
The HTTP toolkit of the gateway and the dashboard.

`problems` is the one shape of errors, with the status codes; `responses` sends JSON and problems; `requests` finds
the key of a request, and reads and parses its bounded body; `cursors` are pages of lists; `threads` run blocking calls
from the event loop, within a limit; `openapi` describes operations, and `endpoints` serves them;
`publisher` is the interface of what takes raw logs.
"""
