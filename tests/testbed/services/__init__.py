"""The two services behind the gateways, and the clients that they and the load use.

They never share state with each other except over the recorded network.
"""
