"""The one place where the parts are put together.

Begin at ``service``: it shows how ccari starts, what runs, and in which order it ends. The others, in the
order it uses them:

- ``stopping``: signals, and how the calls end before the service does; ``deadline`` kills a service that hangs then;
- ``parts``: what is opened once and shared by everything that runs;
- ``starting``: the checks before the first call;
- ``telephony``: the link to Asterisk and the care of its spool, unless ARI is off;
- ``recordings``: where they come from, where they go, and their deletion;
- ``readings``: what Prometheus reads of the parts;
- ``servers``: HTTP and FastAGI, with ``health`` for ``/readyz``;
- ``installed``: what a record of processing says of the settings;
- ``messengers``: what is sent to controllers and to webhooks;
- ``interpreter``: a setting of Python's garbage collector.
"""
