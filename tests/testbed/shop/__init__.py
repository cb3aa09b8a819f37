"""The smaller topology: a shop behind nginx, haproxy, an L4 gateway and Envoy.

It never shares a server, a name or an address with another topology; only one is up at a time.
"""
