"""The worker through which programs and people come in: REST, MCP and the page."""
