"""The embedded PostgreSQL: a server from a wheel, in ``data_dir``, reachable only over a unix socket.

Several processes share it (a service and the commands beside it). Each holds a shared lock while it uses the server, and the last to
leave stops it. A lock ends with its process, so a killed process leaves nothing to clean up. Begin at ``sharing``:

- ``sharing``: joining the server, leaving it, and restarting it if it dies;
- ``locks``: who uses the server, and who may start or stop it;
- ``server``: its folder, its cluster, its start and its end;
- ``programs``: PostgreSQL's programs from the wheel, run as the server's user;
- ``users``: the system user that runs the server.
"""

from ccari.store.embedded.sharing import embedded_postgres

__all__ = ["embedded_postgres"]
