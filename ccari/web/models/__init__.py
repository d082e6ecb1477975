"""What goes in and out over HTTP: these models validate it, and describe it in /openapi.json.

A module a resource; ``base`` says what goes for all that is sent and told, ``fields`` has what several of them hold.
"""
