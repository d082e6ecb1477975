"""The models of the HTTP API. They validate requests, and describe requests and answers in /openapi.json.

There is a module for each resource. ``base`` has the base classes, ``fields`` the fields that several models share.
"""
