"""The one place where the parts are put together.

``service`` shows the whole: how ccari begins, what runs, and in which order it ends. ``parts`` is what is opened once and
shared, ``starting`` what is found out before the first call. Of what runs, ``telephony`` drives Asterisk; ``doors`` lets
HTTP and FastAGI in, with what ``health`` says of the service; ``messengers`` tells controllers and webhooks; ``recordings``
are taken in, kept and deleted. ``tasks`` runs what is done beside the calls, ``stopping`` waits until all is to end,
``deadline`` cuts what hangs then, and ``readings`` is what Prometheus reads of the parts.
"""
