"""An apiserver for local mode: the part of Kubernetes that kubemr uses, in one process.

`core.ApiServer` is the server without a network, `http.HttpServer` serves it on loopback.
"""
