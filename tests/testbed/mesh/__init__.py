"""The larger topology: five services of five threading models, and a leg of every kind that a real mesh has.

It never shares a server, a name or an address with another topology; only one is up at a time.
"""
