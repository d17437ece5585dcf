"""`phospho mcp`: a Model Context Protocol server with read-only tools, for agents and IDEs."""

import click

from phospho_cli.client.failures import Failure
from phospho_cli.client.http import Client, connected


@click.command("mcp")
@connected
def mcp(client: Client) -> None:
    """
    Serve read-only tools to agents and IDEs by the Model Context Protocol, on stdin and stdout.

    Needs `pip install mcp`. Give it a key with the scope `read`.

    \b
    In the configuration of an MCP client:
      {"command": "phospho", "args": ["mcp"], "env": {"PHOSPHO_API_KEY": "..."}}
    """
    try:
        from phospho_cli.client.agent_tools import server
    except ModuleNotFoundError as error:
        if error.name != "mcp":
            raise
        raise Failure("The package mcp is missing.", "Install it: pip install mcp") from None
    server(client).run()
