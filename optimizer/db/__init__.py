"""The database port and its transports.

In: the name of one of our SQL functions and its arguments. Out: the one JSON value that it returns.
"""
